// Holds what a node reports until the revision in it is on the node's disk: what was acknowledged outlives a kill.
// Must not hold it for long: a disk that is slow or fails is no reason to call a revision not in force.

/** Longest that a report waits. */
const PATIENCE_MS = 1_000;

/** Lets reports pass, in their order. */
export class ReportGate {
  readonly #patienceMs: number;
  #saved: Promise<void> | undefined;

  constructor(patienceMs: number = PATIENCE_MS) {
    this.#patienceMs = patienceMs;
  }

  /** Holds further reports until this is settled, or took too long. */
  hold(saving: Promise<void>): void {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#patienceMs).unref();
    });
    const before = this.#saved;
    const saved = Promise.race([saving, late])
      .then(() => before)
      .finally(() => {
        clearTimeout(timer);
        if (this.#saved === saved) this.#saved = undefined;
      });
    this.#saved = saved;
  }

  /** Sends a report, now or when what came before it is saved. */
  pass(send: () => void): void {
    if (this.#saved === undefined) send();
    else void this.#saved.then(send);
  }
}
