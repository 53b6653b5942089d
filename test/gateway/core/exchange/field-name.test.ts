// What the name of a header field says, however it is spelled and however often it was seen.
import assert from 'node:assert/strict';
import { readFieldName } from '../../../../gateway/core/exchange/field-name.ts';

describe('readFieldName', () => {
  const roles: [string, string][] = [
    ['Accept', 'passed'],
    ['HOST', 'host'],
    ['Authorization', 'authorization'],
    ['x-forwarded-for', 'forwarded-for'],
    ['X-Forwarded-Proto', 'forwarded-proto'],
    ['X-Forwarded-Host', 'forwarded-host'],
    ['X-Forwarded-Port', 'dropped'],
    ['X_Forwarded_For', 'dropped'],
    ['x_request-id', 'dropped'],
    ['X-Consumer-Anything', 'dropped'],
    ['Forwarded', 'dropped'],
    ['Connection', 'dropped'],
    ['Content-Length', 'dropped'],
    ['Content_Length', 'dropped'],
    ['transfer_encoding', 'dropped'],
    ['X_Mine', 'passed'],
  ];
  for (const [name, role] of roles) {
    it(`says of ${name} that it is ${role}, the second time too`, () => {
      const first = readFieldName(name);
      const second = readFieldName(name);

      assert.deepEqual([first.raw, first.lower, first.role], [name, name.toLowerCase(), role]);
      assert.deepEqual(second, first);
    });
  }

  it('keeps two spellings of one name apart on the wire', () => {
    assert.equal(readFieldName('ETag').raw, 'ETag');
    assert.equal(readFieldName('etag').raw, 'etag');
  });

  for (const name of ['', 'a b', 'a:', 'a\r\nb', '\u0141pi', 'x'.repeat(257)]) {
    it(`says of ${JSON.stringify(name.slice(0, 10))} that it cannot stand on the wire`, () => {
      assert.deepEqual([readFieldName(name).isLegal, readFieldName(name).raw], [false, name]);
    });
  }

  it('says the same of a name when it has seen more names than it remembers', () => {
    const before = readFieldName('X-Real-IP');

    for (let index = 0; index < 5_000; index++) readFieldName(`x-flood-${index}`);

    assert.deepEqual(readFieldName('X-Real-IP'), before);
  });
});
