// Facts about cutting updates into messages.
// Must not send one.
import assert from 'node:assert/strict';
import type { Change } from '../../../../gateway/core/model.ts';
import { cutUpdate } from '../../../../gateway/modes/central/messages.ts';

function parts(count: number): { readonly sizes: number[]; readonly isLast: boolean[] } {
  const changes = Array.from({ length: count }, (_, index): Change => ({ kind: 'api', id: String(index) }));
  const all = [...cutUpdate({ revision: 3, isReset: true, changes })];
  return { sizes: all.map((part) => part.changes.length), isLast: all.map((part) => part.isLast) };
}

describe('cutUpdate', () => {
  for (const [count, sizes] of [
    [0, [0]],
    [1, [1]],
    [200, [200]],
    [201, [200, 1]],
    [1000, [200, 200, 200, 200, 200]],
  ] as const) {
    it(`cuts ${count} changes into parts of ${sizes.join(', ')}`, () => {
      assert.deepEqual(parts(count).sizes, sizes);
    });
  }

  it('marks only the last part as the last', () => {
    assert.deepEqual(parts(450).isLast, [false, false, true]);
  });
});
