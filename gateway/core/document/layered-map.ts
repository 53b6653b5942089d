// Maps that never change, and share nearly all of themselves with the one they were made from.
// Must not know what they hold.
import type { Steps } from '../slicer.ts';

/** Is a map in the making. What it was made from stays as it is. No value is `undefined`. */
export interface MapEdit<Value> extends ReadonlyMap<string, Value> {
  set(key: string, value: Value): void;
  delete(key: string): void;
  /** Gives the map as it is now; the very one it was made from when nothing has changed. */
  build(): Steps<ReadonlyMap<string, Value>>;
}

/** Begins a map that differs from `base` in a few keys. Costs nothing before the first change, however big `base` is. */
export function editMap<Value>(base: ReadonlyMap<string, Value>): MapEdit<Value> {
  return base instanceof LayeredMap ? base.edit() : new LayeredMap<Value>({ base, over: new Map(), size: base.size });
}

/** Changes up to here are kept apart from the base: of a small map, so that it need not be copied at every second change. */
const MIN_OVER = 64;

/** Entries copied between two places where the copying may be interrupted. */
const COPY_STEP = 256;

/** Stands in the upper layer for a key that only the base has. */
const GONE = Symbol('gone');

interface Layers<Value> {
  readonly base: ReadonlyMap<string, Value>;
  readonly over: Map<string, Value | typeof GONE>;
  readonly size: number;
}

/**
 * Is a base, shared by many maps in a row, and over it what differs. A change copies what differs; when that has grown to
 * about the root of the base, both are copied into a new base. So a change costs the root of what a copy costs, and a
 * look-up is one in a native map, or two.
 */
class LayeredMap<Value> implements MapEdit<Value> {
  readonly #origin: ReadonlyMap<string, Value>;
  readonly #base: ReadonlyMap<string, Value>;
  #over: Map<string, Value | typeof GONE>;
  #isOwn = false;
  #isChanged = false;
  #size: number;

  constructor({ base, over, size }: Layers<Value>, origin?: ReadonlyMap<string, Value>) {
    this.#origin = origin ?? base;
    this.#base = base;
    this.#over = over;
    this.#size = size;
  }

  get size(): number {
    return this.#size;
  }

  edit(): MapEdit<Value> {
    return new LayeredMap({ base: this.#base, over: this.#over, size: this.#size }, this);
  }

  get(key: string): Value | undefined {
    const own = this.#over.get(key);
    if (own === undefined) return this.#base.get(key);
    return own === GONE ? undefined : (own as Value);
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  set(key: string, value: Value): void {
    const before = this.get(key);
    if (before === value) return;
    if (before === undefined) this.#size++;
    this.#own().set(key, value);
  }

  delete(key: string): void {
    if (!this.has(key)) return;
    this.#size--;
    if (this.#base.has(key)) this.#own().set(key, GONE);
    else this.#own().delete(key);
  }

  *build(): Steps<ReadonlyMap<string, Value>> {
    if (!this.#isChanged) return this.#origin;
    this.#isOwn = false;
    const over = this.#over;
    // Over nothing, nothing can be gone.
    if (this.#base.size === 0) return over as Map<string, Value>;
    if (over.size <= Math.max(MIN_OVER, 2 * Math.sqrt(this.#base.size))) {
      return new LayeredMap({ base: this.#base, over, size: this.#size });
    }
    const flat = new Map<string, Value>();
    for (const [key, value] of this.#base) {
      const own = over.get(key);
      if (own === undefined) flat.set(key, value);
      else if (own !== GONE) flat.set(key, own as Value);
      if (flat.size % COPY_STEP === 0) yield;
    }
    for (const [key, own] of over) if (own !== GONE) flat.set(key, own as Value);
    return flat;
  }

  *entries(): Generator<[string, Value], undefined, undefined> {
    for (const [key, value] of this.#base) {
      const own = this.#over.get(key);
      if (own === undefined) yield [key, value];
      else if (own !== GONE) yield [key, own as Value];
    }
    for (const [key, own] of this.#over) {
      if (own !== GONE && !this.#base.has(key)) yield [key, own as Value];
    }
  }

  *keys(): Generator<string, undefined, undefined> {
    for (const [key] of this.entries()) yield key;
  }

  // Walked often, so not by way of `entries`, which makes a pair for each.
  *values(): Generator<Value, undefined, undefined> {
    for (const [key, value] of this.#base) {
      const own = this.#over.get(key);
      if (own === undefined) yield value;
      else if (own !== GONE) yield own as Value;
    }
    for (const [key, own] of this.#over) if (own !== GONE && !this.#base.has(key)) yield own as Value;
  }

  [Symbol.iterator](): Generator<[string, Value], undefined, undefined> {
    return this.entries();
  }

  forEach(visit: (value: Value, key: string, map: ReadonlyMap<string, Value>) => void): void {
    for (const [key, value] of this) visit(value, key, this);
  }

  #own(): Map<string, Value | typeof GONE> {
    if (!this.#isOwn) this.#over = new Map(this.#over);
    this.#isOwn = true;
    this.#isChanged = true;
    return this.#over;
  }
}
