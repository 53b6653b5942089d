// Whether packages of this process may run in isolates: the keeper of a node says no after one has taken a worker with it.
// Must not decide that by itself.

/** Goes from a keeper to its workers. */
export interface GateOrder {
  readonly isOff: boolean;
}

/** Goes from a worker to its keeper: how many isolates are open. */
export interface GateNote {
  readonly open: number;
}

/** Lets packages into isolates, and counts them. */
export class IsolateGate {
  readonly #send: (note: GateNote) => void;
  readonly #listeners: Set<() => void> = new Set();
  #isOff = false;
  #open = 0;

  constructor(send: (note: GateNote) => void = () => undefined) {
    this.#send = send;
  }

  get isOff(): boolean {
    return this.#isOff;
  }

  /** Does what the keeper says. */
  take({ isOff }: GateOrder): void {
    if (isOff === this.#isOff) return;
    this.#isOff = isOff;
    for (const listener of this.#listeners) listener();
  }

  /** Calls whenever the answer changes, until the function that it gives is called. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Says that an isolate is about to be made (1) or was closed (-1): the keeper must know before any code of it runs. */
  count(change: 1 | -1): void {
    this.#open += change;
    this.#send({ open: this.#open });
  }
}
