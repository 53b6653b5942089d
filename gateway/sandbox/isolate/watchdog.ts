// Ends an isolate that does not come back: the worker itself is inside it then, so another thread has to look.
// Must not run anything of a package, nor be reached by one.
import type { Isolate, IsolateLibrary } from './library.ts';

/** How often the thread looks, while there is something to look at. */
export const LOOK_MS = 10;
/** Looks without a call after which the thread sleeps until there is one. */
const IDLE_LOOKS = 100;
/** What the thread's own isolate may take, in MB: the least there is. */
const MEMORY_MB = 8;
/** Longest that the end of a process waits for it. */
const END_TIMEOUT_MS = 500;

/** Cells of the shared memory. */
const CALLS = 0;
const LOOKS = 1;
const ASLEEP = 2;
const CUT = 3;
const STOP = 4;
const ENDED = 5;
const CELLS = 6;

/**
 * Looks at how many calls have begun and ended; an odd number is a call under way. Counts looks and not time: where the
 * machine is busy this thread has to wait for a core too, and an honest package that waits is not ended for it.
 */
const SCRIPT = `
const cells = new Int32Array(memory);
let seen = -1, looks = 0, idle = 0;
while (Atomics.load(cells, ${STOP}) === 0) {
  Atomics.wait(cells, ${STOP}, 0, ${LOOK_MS});
  const calls = Atomics.load(cells, ${CALLS});
  looks = calls === seen ? looks + 1 : 0;
  seen = calls;
  if (calls % 2 === 1) {
    idle = 0;
    if (looks < Atomics.load(cells, ${LOOKS})) continue;
    Atomics.store(cells, ${CUT}, 1);
    guest.dispose();
    break;
  }
  if (looks === 0) idle = 0;
  if (++idle < ${IDLE_LOOKS}) continue;
  Atomics.store(cells, ${ASLEEP}, 1);
  // Who began or stopped meanwhile has not seen that this thread sleeps.
  if (Atomics.load(cells, ${CALLS}) === calls && Atomics.load(cells, ${STOP}) === 0) Atomics.wait(cells, ${ASLEEP}, 1);
  Atomics.store(cells, ${ASLEEP}, 0);
  idle = 0;
}
Atomics.store(cells, ${ENDED}, 1);
Atomics.notify(cells, ${ENDED});`;

/** A process that ends waits for all threads of the library: those that sleep would keep it for ever. */
const running = new Set<Watchdog>();
let isHeard = false;

function stopAtExit(watchdog: Watchdog): void {
  running.add(watchdog);
  if (isHeard) return;
  isHeard = true;
  process.once('exit', () => {
    for (const one of running) one.tellStop();
    for (const one of running) one.awaitEnd();
  });
}

/** Watches one guest. */
export class Watchdog {
  readonly #cells: Int32Array = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT * CELLS));
  readonly #thread: Isolate;

  /** `limitMs`: longest that a call may take, in looks of the thread. */
  constructor(library: IsolateLibrary, limitMs: number) {
    this.#thread = new library.Isolate({ memoryLimit: MEMORY_MB });
    this.#cells[LOOKS] = Math.max(1, Math.ceil(limitMs / LOOK_MS));
  }

  /** Starts the thread. */
  async start(library: IsolateLibrary, guest: Isolate): Promise<void> {
    stopAtExit(this);
    const context = await this.#thread.createContext();
    await context.global.set('memory', new library.ExternalCopy(this.#cells.buffer).copyInto());
    await context.global.set('guest', guest);
    // It ends when it is told to, when it has ended the guest, or with its own isolate.
    context.eval(SCRIPT).catch(() => undefined);
  }

  /** Says that it has ended the guest. */
  get hasCut(): boolean {
    return Atomics.load(this.#cells, CUT) === 1;
  }

  /** Says that the worker goes into the guest. */
  begin(): void {
    Atomics.add(this.#cells, CALLS, 1);
    if (Atomics.load(this.#cells, ASLEEP) === 0) return;
    Atomics.store(this.#cells, ASLEEP, 0);
    Atomics.notify(this.#cells, ASLEEP);
  }

  /** Says that the worker is back. */
  end(): void {
    Atomics.add(this.#cells, CALLS, 1);
  }

  tellStop(): void {
    Atomics.store(this.#cells, STOP, 1);
    Atomics.store(this.#cells, ASLEEP, 0);
    for (const cell of [STOP, ASLEEP]) Atomics.notify(this.#cells, cell);
  }

  /** Holds this thread until the other is done, for a process that ends at once. */
  awaitEnd(): void {
    Atomics.wait(this.#cells, ENDED, 0, END_TIMEOUT_MS);
  }

  stop(): void {
    running.delete(this);
    this.tellStop();
    if (!this.#thread.isDisposed) this.#thread.dispose();
  }
}
