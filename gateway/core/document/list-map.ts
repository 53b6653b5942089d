// Lists by key that never change, such as the bindings of each api.
// Must not know what they list.
import type { Steps } from '../slicer.ts';
import { editMap } from './layered-map.ts';

/** Holds lists by key; a list that would be empty is not there. */
export type ListMap<Item> = ReadonlyMap<string, readonly Item[]>;

/** Is a map of lists in the making. */
export interface ListMapEdit<Item> {
  /** Gives the list to change; whoever asks may change it in place. */
  listOf(key: string): Item[];
  /** Gives the map as it is now; the lists that were asked for are put in order first. */
  build(compare?: (a: Item, b: Item) => number): Steps<ListMap<Item>>;
}

/** Begins a map of lists that differs from `base` in a few of them. */
export function editLists<Item>(base: ListMap<Item>): ListMapEdit<Item> {
  const own = new Map<string, Item[]>();
  return {
    listOf(key) {
      const known = own.get(key);
      if (known) return known;
      const list = [...(base.get(key) ?? [])];
      own.set(key, list);
      return list;
    },
    *build(compare) {
      const edit = editMap(base);
      for (const [key, list] of own) {
        if (list.length === 0) edit.delete(key);
        else edit.set(key, compare ? list.sort(compare) : list);
        yield;
      }
      return yield* edit.build();
    },
  };
}
