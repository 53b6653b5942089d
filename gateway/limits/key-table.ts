// A bound on how many keys the limiters of one process remember together.
// Must not forget a key that still counts: that would hand out its limit anew.

/** Most keys per process; about 450 bytes each while they see little traffic. Attackers choose keys, so there is a bound. */
export const MAX_KEYS: number = 500_000;

/**
 * Takes the place of every further key of a limiter once the table is full of keys that still count: these share one
 * budget, so a flood of invented keys can never let more through than there are keys in the table, plus one.
 */
export const OVERFLOW_KEY = '\u0000overflow';

/** Keys looked at for each key that is added: keeps the idle ones a small share without a timer. */
const SWEEP_KEYS = 4;
const SWEEP_KEYS_WHEN_FULL = 64;

/** Describes a `KeyTable`. */
export interface KeyTableOptions<State> {
  readonly maxKeys?: number | undefined;
  /** Says whether forgetting the state changes nothing. */
  readonly isIdle: (state: State, nowMs: number) => boolean;
}

/** Holds the keys of many limiters, one map each, and forgets idle ones as new ones come. */
export class KeyTable<State> {
  readonly #maxKeys: number;
  readonly #isIdle: (state: State, nowMs: number) => boolean;
  readonly #scopes: Map<string, State>[] = [];
  #hand: { readonly scope: Map<string, State>; readonly keys: MapIterator<[string, State]> } | undefined;
  #nextScope = 0;
  #size = 0;

  constructor(options: KeyTableOptions<State>) {
    this.#maxKeys = options.maxKeys ?? MAX_KEYS;
    this.#isIdle = options.isIdle;
  }

  get size(): number {
    return this.#size;
  }

  /** Makes the map of one limiter. Read it freely; add to it by `insert` alone. */
  addScope(): Map<string, State> {
    const scope = new Map<string, State>();
    this.#scopes.push(scope);
    return scope;
  }

  /** Adds a key. Gives false when the table is full of keys that still count; `OVERFLOW_KEY` always fits. */
  insert(scope: Map<string, State>, key: string, state: State, nowMs: number): boolean {
    const isFull = this.#size >= this.#maxKeys;
    this.#sweep(isFull ? SWEEP_KEYS_WHEN_FULL : SWEEP_KEYS, nowMs);
    if (this.#size >= this.#maxKeys && key !== OVERFLOW_KEY) return false;
    scope.set(key, state);
    this.#size += 1;
    return true;
  }

  #sweep(count: number, nowMs: number): void {
    for (let left = count; left > 0; left--) {
      if (!this.#hand) {
        const scope = this.#scopes[this.#nextScope];
        this.#nextScope = (this.#nextScope + 1) % Math.max(1, this.#scopes.length);
        if (!scope) return;
        this.#hand = { scope, keys: scope.entries() };
      }
      const next = this.#hand.keys.next();
      if (next.done) {
        this.#hand = undefined;
      } else if (this.#isIdle(next.value[1], nowMs)) {
        this.#hand.scope.delete(next.value[0]);
        this.#size -= 1;
      }
    }
  }
}
