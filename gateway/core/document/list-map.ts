// Lists by key that never change, such as the bindings of each api.
// Must not know what they list.
import type { Steps } from '../slicer.ts';
import { editMap } from './layered-map.ts';

/**
 * Holds lists by key. A list that would be empty is not there, and one of a single item is that item: most are, and a request
 * that looks one up would have to fetch the list from memory to find it. No item is an array.
 */
export type ListMap<Item> = ReadonlyMap<string, Item | readonly Item[]>;

/** Says whether what a map of lists holds is several items. */
export function isSeveral<Item>(found: Item | readonly Item[]): found is readonly Item[] {
  return Array.isArray(found);
}

/** Gives the list of a key. */
export function listAt<Item>(map: ListMap<Item>, key: string): readonly Item[] {
  const found = map.get(key);
  if (found === undefined) return [];
  return isSeveral(found) ? found : [found];
}

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
      const list = [...listAt(base, key)];
      own.set(key, list);
      return list;
    },
    *build(compare) {
      const edit = editMap(base);
      for (const [key, list] of own) {
        const [first] = list;
        if (first === undefined) edit.delete(key);
        else if (list.length === 1) edit.set(key, first);
        else edit.set(key, compare ? list.sort(compare) : list);
        yield;
      }
      return yield* edit.build();
    },
  };
}
