// Which host a request is for, by its Host header.
// Must not go through the wire: it refuses much before.
import assert from 'node:assert/strict';
import { readHost } from '../../../../gateway/core/exchange/headers.ts';

describe('the host of a request', () => {
  it('is that of this request, whichever came before', () => {
    const sent = ['a.test', 'b.test', 'b.test', 'a.test', 'A.test', 'a.test:80', 'b.test:80', 'a.test.', '[::1]:80'];

    const read = ['a.test', 'b.test', 'b.test', 'a.test', 'a.test', 'a.test', 'b.test', 'a.test', '[::1]'];
    assert.deepEqual(sent.map(readHost), read);
  });

  it('is refused also behind one of its length', () => {
    readHost('a.test');

    for (const host of ['a test', 'a@test', 'a/test', 'a.tes:', '', undefined]) {
      assert.throws(() => readHost(host), { code: 'HOST_INVALID' }, String(host));
    }
  });
});
