// Lists in fields: commas part them, and blanks around their members are none of them.
import assert from 'node:assert/strict';
import { splitList } from '../../../../gateway/core/exchange/headers.ts';

describe('splitList', () => {
  for (const [value, expected] of [
    ['', ['']],
    ['a', ['a']],
    [' a\t,\t b c ,', ['a', 'b c', '']],
    ['  \t ', ['']],
    // No blanks in HTTP, though `trim` takes them for such.
    ['a,\u00a0upgrade', ['a', '\u00a0upgrade']],
    ['a\u000b,b\u000c', ['a\u000b', 'b\u000c']],
  ] as const) {
    it(`takes ${JSON.stringify(value)} apart`, () => {
      assert.deepEqual(splitList(value), expected);
    });
  }
});
