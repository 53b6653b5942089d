// Notes which hook has the thread, for whoever can cut one that does not return, and ends what a cut leaves behind.
// Must not cut, nor know how it is done: that is the affair of the mode.
import { GatewayError } from '../errors.ts';
import type { Walk } from '../pipeline.ts';
import type { ChunkStep, Step } from './chain.ts';
import { type CutReport, setCutAside } from './cut.ts';

/** Cell with the number of the hook that has the thread; 0 = none has. */
export const RUNNING = 0;
/** Cell with how long that hook may keep the thread, in milliseconds. */
export const LIMIT_MS = 1;
/** Cell with the number of a hook that is being cut, written by who cuts; 0 = none is. */
export const CUT = 2;
/** How many cells there are. */
export const CELLS = 3;

const MAX_NUMBER = 0x3fffffff;
/** Most hooks that are remembered past their time, and how long. */
const MAX_EXPIRED = 16;
const EXPIRED_MS = 5_000;

/** Is a hook that gave a promise, until that settles or its time is over. */
export interface Waiting {
  readonly walk: Walk;
  readonly step: Step | ChunkStep;
  /** Where it is kept; belongs to `HookWatch`. */
  slot: number;
  /** When its time was over, in monotonic milliseconds; Infinity = it is not. */
  expiredMs: number;
}

/**
 * Is told of every hook that begins and that returns the thread. A hook that is cut does neither: all that was on the stack is
 * gone, and no line of it runs any more, no `catch` and no `finally`.
 */
export class HookWatch {
  readonly #cells: Int32Array;
  readonly #onCut: (report: CutReport) => void;
  #number = 0;
  #walk: Walk | undefined;
  #step: Step | ChunkStep | undefined;
  /** Hooks whose promises have not settled. Not a Set, for the reason that http/message/deadlines.ts gives. */
  readonly #waiting: Waiting[] = [];
  /** What was cut may have run out of its time before: its timer was due when the event loop turned again. */
  readonly #expired: Waiting[] = [];
  readonly #lost: { readonly walk: Walk; readonly plugin: string }[] = [];

  /** `cells` are shared with who cuts; `onCut` hears of a binding that was set aside. */
  constructor(cells: Int32Array = new Int32Array(CELLS), onCut: (report: CutReport) => void = () => undefined) {
    this.#cells = cells;
    this.#onCut = onCut;
  }

  begin(walk: Walk, step: Step | ChunkStep): void {
    this.#walk = walk;
    this.#step = step;
    this.#number = this.#number === MAX_NUMBER ? 1 : this.#number + 1;
    this.#cells[LIMIT_MS] = step.instance.plugin.manifest.limits.timeoutMs;
    this.#cells[RUNNING] = this.#number;
  }

  end(): void {
    this.#cells[RUNNING] = 0;
  }

  beginWait(walk: Walk, step: Step | ChunkStep): Waiting {
    const one = { walk, step, slot: this.#waiting.length, expiredMs: Number.POSITIVE_INFINITY };
    this.#waiting.push(one);
    return one;
  }

  endWait(one: Waiting): void {
    const last = this.#waiting.pop();
    if (last === undefined || last === one) return;
    this.#waiting[one.slot] = last;
    last.slot = one.slot;
  }

  /** Remembers for a while a hook whose time is over. */
  noteExpired(one: Waiting): void {
    one.expiredMs = performance.now();
    this.#expired.push(one);
    if (this.#expired.length > MAX_EXPIRED) this.#expired.shift();
  }

  /**
   * Sets aside the bindings of a plugin of which hooks wait, after its code was cut outside of a hook's first run. Which of their
   * exchanges it was cannot be told: those whose promises do not settle any more run into their time limits.
   */
  blame(plugin: string, version: string | undefined): void {
    const sinceMs = performance.now() - EXPIRED_MS;
    const blamed = [...this.#expired.splice(0), ...this.#waiting].filter(({ step: { instance }, expiredMs }) => {
      const { manifest } = instance.plugin;
      return expiredMs > sinceMs && manifest.name === plugin && (version === undefined || manifest.version === version);
    });
    const newest = new Map(blamed.map((one) => [one.step.instance, one]));
    for (const { walk, step } of newest.values()) {
      const count = blamed.filter((one) => one.step.instance === step.instance).length;
      const which = count === 1 ? '' : `; this is the last of ${count} exchanges that were under way in it`;
      this.#onCut(setCutAside(walk, step, `it held the event loop after an await and was cut${which}`));
    }
  }

  /** Says that `settle` may have something to do. */
  get isCutting(): boolean {
    return this.#cells[CUT] !== 0;
  }

  /** Sets the binding aside whose hook was cut, if one was: before any other hook runs. */
  settle(): void {
    const cells = this.#cells;
    const [walk, step] = [this.#walk, this.#step];
    // Another number = it returned at the last moment.
    if (!walk || !step || cells[CUT] === 0 || cells[CUT] !== cells[RUNNING]) return;
    cells[RUNNING] = 0;
    cells[CUT] = 0;
    const { stats, plugin } = step.instance;
    stats.timeouts++;
    const { name, limits } = plugin.manifest;
    walk.halt();
    this.#lost.push({ walk, plugin: name });
    this.#onCut(setCutAside(walk, step, `it did not return within ${limits.timeoutMs} ms and was cut`));
  }

  /** Ends the exchanges whose hooks were cut; gives how many. Call in a turn of its own, after a cut. */
  finish(): number {
    this.settle();
    this.#cells[CUT] = 0;
    const lost = this.#lost.splice(0);
    for (const { walk, plugin } of lost) {
      walk.abandon(new GatewayError('PLUGIN_TIMEOUT', `plugin ${plugin} took too long`));
    }
    return lost.length;
  }
}
