// Maps that share with the one they were made from: they behave like native ones, and never change.
import assert from 'node:assert/strict';
import { editMap } from '../../../../gateway/core/document/layered-map.ts';
import { editLists, type ListMap, listAt } from '../../../../gateway/core/document/list-map.ts';
import { atOnce } from '../../../../gateway/core/slicer.ts';
import { createRandom } from '../../../support/random-changes.ts';

function sorted<Value>(map: Iterable<readonly [string, Value]>): readonly (readonly [string, Value])[] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}

describe('a layered map', () => {
  it('holds what a native map would, over thousands of changes, and leaves every earlier one as it was', () => {
    const random = createRandom(1);
    const native = new Map<string, number>();
    let layered: ReadonlyMap<string, number> = new Map();
    const kept: { readonly map: ReadonlyMap<string, number>; readonly content: ReadonlyMap<string, number> }[] = [];

    for (let round = 0; round < 400; round++) {
      const edit = editMap(layered);
      for (let count = Math.floor(random() ** 4 * 200); count >= 0; count--) {
        const key = `k${Math.floor(random() * 500)}`;
        if (random() < 0.3) {
          native.delete(key);
          edit.delete(key);
        } else {
          native.set(key, round);
          edit.set(key, round);
        }
        assert.equal(edit.get(key), native.get(key));
      }
      assert.equal(edit.size, native.size);
      layered = atOnce(edit.build());
      if (round % 40 === 0) kept.push({ map: layered, content: new Map(native) });
      assert.equal(layered.size, native.size);
      assert.deepEqual(sorted(layered), sorted(native));
      assert.deepEqual([...layered.keys()].sort(), [...native.keys()].sort());
      assert.deepEqual([...layered.values()].sort(), [...native.values()].sort());
    }

    for (const { map, content } of kept) assert.deepEqual(sorted(map), sorted(content));
  });

  it('is the very map it was made from when nothing has changed', () => {
    const base = new Map([['a', 1]]);
    const edit = editMap<number>(base);
    edit.set('a', 1);
    edit.delete('b');

    assert.equal(atOnce(edit.build()), base);
  });

  it('stays as it was built when the edit goes on', () => {
    const edit = editMap<number>(new Map([['a', 1]]));
    edit.set('b', 2);
    const built = atOnce(edit.build());
    edit.set('b', 3);
    edit.delete('a');

    assert.deepEqual(sorted(built), [
      ['a', 1],
      ['b', 2],
    ]);
    assert.deepEqual(sorted(atOnce(edit.build())), [['b', 3]]);
  });

  it('does not copy a large base for a change, and may be interrupted when it must', () => {
    const base = new Map(Array.from({ length: 10_000 }, (_, index) => [`k${index}`, index]));
    const small = editMap<number>(base);
    small.set('k1', -1);
    const large = editMap<number>(base);
    for (let index = 0; index < 1_000; index++) large.set(`k${index}`, -1);

    assert.equal([...small.build()].length, 0);
    assert.ok([...large.build()].length > 10);
  });
});

describe('a map of lists', () => {
  it('changes the lists that were asked for, sorts them and drops empty ones', () => {
    const base: ListMap<number> = new Map<string, number | number[]>([
      ['a', [1, 3]],
      ['b', 1],
      ['c', 9],
      ['e', [6, 5]],
    ]);
    const edit = editLists(base);
    edit.listOf('a').push(2);
    edit.listOf('b').pop();
    edit.listOf('d').push(5, 4);
    edit.listOf('e').pop();

    const built = atOnce(edit.build((a, b) => a - b));

    assert.deepEqual(sorted(built), [
      ['a', [1, 2, 3]],
      ['c', 9],
      ['d', [4, 5]],
      ['e', 6],
    ]);
    assert.equal(built.get('c'), base.get('c'));
    assert.deepEqual(base.get('a'), [1, 3]);
    assert.deepEqual([listAt(built, 'a'), listAt(built, 'c'), listAt(built, 'b')], [[1, 2, 3], [9], []]);
  });
});
