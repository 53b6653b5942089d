// A world for the tests of limits: simulated time, timers, one keeper, workers, and messages that take time.
// Must not check anything; the tests do.
import type { Clock, Limiter, LimitVerdict, LimitWindow } from '../../../gateway/core/plugin.ts';
import { createLimits } from '../../../gateway/limits/lease-client.ts';
import { createLimitsKeeper, type LimitsKeeper } from '../../../gateway/limits/lease-keeper.ts';
import type { WorkerLimits } from '../../../gateway/limits/options.ts';
import type { Scheduler } from '../../../gateway/limits/scheduler.ts';

/** Gives reproducible numbers in [0, 1). @see https://gist.github.com/tommyettinger/46a874533244883189143505d203312c (mulberry32) */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

function isBefore(left: Event | undefined, right: Event | undefined): boolean {
  if (!left || !right) return left !== undefined;
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order);
}

/** Is simulated time: callbacks run in order of their time, promises settle between them. */
export class SimulatedTime implements Clock {
  nowMs = 1_000;
  /** A binary heap, the next event first. */
  readonly #events: Event[] = [];
  #order = 0;
  readonly scheduler: Scheduler = {
    soon: (callback) => this.at(this.nowMs, callback),
    after: (delayMs, callback) => this.at(this.nowMs + delayMs, callback),
  };

  monotonicMs(): number {
    return this.nowMs;
  }

  wallMs(): number {
    return this.nowMs;
  }

  at(atMs: number, run: () => void): void {
    const event = { atMs, order: this.#order++, run };
    let index = this.#events.length;
    for (let parent = (index - 1) >> 1; index > 0; parent = (index - 1) >> 1) {
      const above = this.#events[parent];
      if (!above || !isBefore(event, above)) break;
      this.#events[index] = above;
      index = parent;
    }
    this.#events[index] = event;
  }

  /** Runs all that is due up to `untilMs`. */
  async runUntil(untilMs: number): Promise<void> {
    for (let event = this.#events[0]; event && event.atMs <= untilMs; event = this.#events[0]) {
      this.#removeFirst();
      this.nowMs = Math.max(this.nowMs, event.atMs);
      event.run();
      // Lets `await`s that the event resolved go on before time does.
      for (let turn = 0; turn < 3; turn++) await Promise.resolve();
    }
    this.nowMs = untilMs;
  }

  #removeFirst(): void {
    const last = this.#events.pop();
    if (!last || this.#events.length === 0) return;
    let index = 0;
    for (;;) {
      let child = index * 2 + 1;
      if (isBefore(this.#events[child + 1], this.#events[child])) child += 1;
      const below = this.#events[child];
      if (!below || !isBefore(below, last)) break;
      this.#events[index] = below;
      index = child;
    }
    this.#events[index] = last;
  }
}

/** Describes a world. */
export interface WorldOptions {
  readonly workers: number;
  readonly windows: readonly LimitWindow[];
  /** Gives how long the next message takes. Order between two processes is kept, as on a pipe. */
  readonly latencyMs?: () => number;
  readonly maxKeys?: number;
}

/** Is one worker process. */
export interface SimulatedWorker {
  readonly id: number;
  readonly limits: WorkerLimits;
  limiter: Limiter;
  isDead: boolean;
}

/** Is a node: keeper, workers, and the pipes between them. */
export class World {
  readonly time: SimulatedTime = new SimulatedTime();
  readonly workers: SimulatedWorker[] = [];
  readonly keeper: LimitsKeeper;
  /** Times of all passes, by key. */
  readonly passes: Map<string, number[]> = new Map();
  readonly refusals: LimitVerdict[] = [];
  asked = 0;
  messagesUp = 0;
  bytesUp = 0;
  messagesDown = 0;
  /** While set, the keeper reads nothing: messages wait. */
  isKeeperStalled = false;
  readonly #options: WorldOptions;
  readonly #backlog: (() => void)[] = [];
  #lastId = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
    const { time } = this;
    const down = new Map<number, number>();
    this.keeper = createLimitsKeeper({
      clock: time,
      scheduler: time.scheduler,
      ...(options.maxKeys === undefined ? {} : { maxKeys: options.maxKeys }),
      send: (workerId, message) => {
        this.messagesDown += 1;
        const text = JSON.stringify(message);
        const atMs = Math.max(down.get(workerId) ?? 0, time.nowMs + this.#latency());
        down.set(workerId, atMs);
        time.at(atMs, () => {
          const worker = this.workers.find((candidate) => candidate.id === workerId);
          if (worker && !worker.isDead) worker.limits.onMessage(JSON.parse(text));
        });
      },
    });
    for (let index = 0; index < options.workers; index++) this.startWorker();
  }

  startWorker(): SimulatedWorker {
    const { time } = this;
    const id = ++this.#lastId;
    let lastAtMs = 0;
    const limits = createLimits({
      clock: time,
      scheduler: time.scheduler,
      workers: this.#options.workers,
      ...(this.#options.maxKeys === undefined ? {} : { maxKeys: this.#options.maxKeys }),
      send: (message) => {
        if (worker.isDead) return;
        this.messagesUp += 1;
        const text = JSON.stringify(message);
        this.bytesUp += text.length;
        lastAtMs = Math.max(lastAtMs, time.nowMs + this.#latency());
        time.at(lastAtMs, () => this.#toKeeper(() => this.keeper.onMessage(id, JSON.parse(text))));
      },
    });
    const limiter = limits.limiter({ name: 'binding-1', windows: this.#options.windows, store: 'local' });
    const worker: SimulatedWorker = { id, limits, limiter, isDead: false };
    this.workers.push(worker);
    return worker;
  }

  /** Kills a worker; the keeper hears of it a little later, and a new one starts. */
  crash(worker: SimulatedWorker): void {
    worker.isDead = true;
    this.workers.splice(this.workers.indexOf(worker), 1);
    this.time.at(this.time.nowMs + 5, () => this.#toKeeper(() => this.keeper.workerGone(worker.id)));
    this.startWorker();
  }

  resumeKeeper(): void {
    this.isKeeperStalled = false;
    for (const read of this.#backlog.splice(0)) read();
  }

  /** Sends one request to a worker. A pass counts at the moment the worker knows of it. */
  async request(worker: SimulatedWorker, key = 'k'): Promise<LimitVerdict | undefined> {
    this.asked += 1;
    const verdict = await worker.limiter.take(key);
    if (worker.isDead) return undefined;
    if (verdict.isAllowed) {
      const passes = this.passes.get(key) ?? [];
      passes.push(this.time.nowMs);
      this.passes.set(key, passes);
    } else {
      this.refusals.push(verdict);
    }
    return verdict;
  }

  passesOf(key = 'k'): readonly number[] {
    return this.passes.get(key) ?? [];
  }

  #toKeeper(read: () => void): void {
    if (this.isKeeperStalled) this.#backlog.push(read);
    else read();
  }

  #latency(): number {
    return this.#options.latencyMs?.() ?? 0.2;
  }
}

/** Gives the most passes that any window of that length holds, wherever it starts. */
export function mostInAnyWindow(passes: readonly number[], windowMs: number): number {
  const sorted = [...passes].sort((left, right) => left - right);
  let most = 0;
  let first = 0;
  for (let last = 0; last < sorted.length; last++) {
    while ((sorted[last] ?? 0) - (sorted[first] ?? 0) >= windowMs) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return most;
}
