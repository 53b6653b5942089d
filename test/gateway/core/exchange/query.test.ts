// Reading and writing queries piece by piece.
import assert from 'node:assert/strict';
import { buildQueryPart, readQuery, writeQuery } from '../../../../gateway/core/exchange/query.ts';

describe('readQuery', () => {
  it('gives the query back byte for byte', () => {
    for (const query of ['', 'a', 'a=1&b', '&&', 'a=%zz&%41=+%20&=&c==d', 'a;b=c&x=%E2%82', '?a=1']) {
      assert.equal(writeQuery(readQuery(query)), query);
    }
  });

  it('decodes names and values, and leaves what does not decode', () => {
    const pairs = readQuery('%61%70i=a+b%20c&bad=%zz&none&two=1=2').map(({ name, value }) => [name, value]);

    assert.deepEqual(pairs, [
      ['api', 'a b c'],
      ['bad', '%zz'],
      ['none', ''],
      ['two', '1=2'],
    ]);
  });
});

describe('buildQueryPart', () => {
  it('encodes what would read as something else', () => {
    const part = buildQueryPart('a&b', 'c=d #%+é');

    assert.equal(part.raw, 'a%26b=c%3Dd%20%23%25%2B%C3%A9');
    assert.deepEqual(readQuery(part.raw), [part]);
  });
});
