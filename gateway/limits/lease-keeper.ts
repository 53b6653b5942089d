// The authority over the limits of a node: leases tokens to workers so that no window ever holds more than its limit.
// Must not know how messages travel, what a key means, or that there are plugins.
//
// The rule that makes it exact: a leased token counts as used *now*, all the time, until its worker reports when it was
// used; a lease that ends unreported counts as used at its end. What the keeper counts is thus never less than the truth.
import type { Clock, LimitWindow } from '../core/plugin.ts';
import { KeyTable } from './key-table.ts';
import { type Ask, findAccount, freeOf, isIdle, type Ledger, lend, newLedger, record, settle } from './ledger.ts';
import type { LimitsKeeperMessage, LimitsOrder, LimitsReport, LimitsWorkerMessage } from './messages.ts';
import { SCHEDULER, type Scheduler } from './scheduler.ts';
import { createSharedKeeper, type SharedKeeper } from './shared/keeper.ts';
import type { SharedStores } from './shared/store.ts';

/** A lease lasts as long as the shortest window, within these bounds: what a crash strands comes back soon. */
const MIN_LEASE_MS = 100;
const MAX_LEASE_MS = 60_000;

/** How long a recall waits for a worker that is busy or gone. */
const RECALL_TIMEOUT_MS = 50;

/** What is leased ahead of need is at most this part of a worker's even share of what is free. */
const AHEAD_PART = 4;

/** Describes `createLimitsKeeper`. */
export interface LimitsKeeperOptions {
  /** Hands a message to a worker; a worker that is gone is no error. */
  readonly send: (workerId: number, message: LimitsKeeperMessage) => void;
  readonly clock: Clock;
  readonly scheduler?: Scheduler;
  /** Default `MAX_KEYS`. */
  readonly maxKeys?: number;
  /** Counts that all nodes share; absent = there are none. */
  readonly shared?: SharedStores;
}

/** Is the keeper's side of the limits. */
export interface LimitsKeeper {
  onMessage(workerId: number, message: LimitsWorkerMessage): void;
  /** Must be called when a worker's process has ended; its unreported tokens count as used when their lease ends. */
  workerGone(workerId: number): void;
  close(): void;
}

interface Scope {
  windows: readonly LimitWindow[];
  version: number;
  readonly keys: Map<string, Ledger>;
}

class Keeper implements LimitsKeeper {
  readonly #options: LimitsKeeperOptions;
  readonly #scheduler: Scheduler;
  readonly #table: KeyTable<Ledger>;
  readonly #scopes = new Map<string, Scope>();
  readonly #workers = new Set<number>();
  readonly #outboxes = new Map<number, LimitsOrder[]>();
  readonly #recalling = new Set<Ledger>();
  readonly #shared: SharedKeeper;
  #lastLease = 0;
  #isClosed = false;

  constructor(options: LimitsKeeperOptions) {
    this.#options = options;
    this.#scheduler = options.scheduler ?? SCHEDULER;
    this.#table = new KeyTable({ maxKeys: options.maxKeys, isIdle });
    this.#shared = createSharedKeeper({ stores: options.shared ?? {}, scheduler: this.#scheduler, send: options.send });
  }

  onMessage(workerId: number, message: LimitsWorkerMessage): void {
    if (this.#isClosed) return;
    this.#workers.add(workerId);
    const nowMs = this.#options.clock.monotonicMs();
    for (const report of message.reports) this.#read(workerId, report, nowMs);
    this.#flush();
    if (message.sharedTakes) this.#shared.take(workerId, message.sharedTakes);
  }

  workerGone(workerId: number): void {
    const nowMs = this.#options.clock.monotonicMs();
    this.#workers.delete(workerId);
    for (const ledger of this.#recalling) {
      ledger.recalled.delete(workerId);
      ledger.asks = ledger.asks.filter((ask) => ask.workerId !== workerId);
      this.#serve(ledger, nowMs);
    }
    this.#outboxes.delete(workerId);
    this.#flush();
  }

  /** Ends recalls; shared stores are their owner's to close. */
  close(): void {
    this.#isClosed = true;
  }

  #read(workerId: number, report: LimitsReport, nowMs: number): void {
    const { windows, keys } = this.#findScope(report);
    let ledger = keys.get(report.key);
    if (!ledger) {
      ledger = newLedger(report.limiter, report.key, windows);
      if (!this.#table.insert(keys, report.key, ledger, nowMs)) {
        this.#order(workerId, { op: 'overflow', limiter: report.limiter, key: report.key });
        return;
      }
    }
    if (ledger.log.windows !== windows) ledger.log = ledger.log.reshape(windows);
    settle(ledger, nowMs);
    record(ledger, workerId, report);
    if (report.isRecalled) ledger.recalled.delete(workerId);
    const { waiting, extra } = report;
    if (waiting > 0 || extra > 0) ledger.asks.push({ workerId, waiting, extra });
    this.#serve(ledger, nowMs);
  }

  /** A scope stays for the life of the node: some hundred bytes for each limiter there ever was. */
  #findScope({ limiter, windows, version }: LimitsReport): Scope {
    const found = this.#scopes.get(limiter);
    if (!found) {
      const scope = { windows, version, keys: this.#table.addScope() };
      this.#scopes.set(limiter, scope);
      return scope;
    }
    if (version > found.version) {
      found.version = version;
      // Kept by identity when equal, so that no ledger is reshaped for nothing.
      if (JSON.stringify(found.windows) !== JSON.stringify(windows)) found.windows = windows;
    }
    return found;
  }

  /** Answers the asks of a key in order, as far as that is possible without an answer from another worker. */
  #serve(ledger: Ledger, nowMs: number): void {
    for (let ask = ledger.asks[0]; ask; ask = ledger.asks[0]) {
      if (ask.waiting > 0 && freeOf(ledger, nowMs) < 1) {
        if (ledger.recalled.size > 0 || this.#recall(ledger, ask.workerId)) return;
        this.#refuse(ledger, ask, nowMs);
      } else {
        this.#grant(ledger, ask, nowMs);
      }
      ledger.asks.shift();
    }
    if (ledger.recalled.size === 0) this.#recalling.delete(ledger);
  }

  #grant(ledger: Ledger, ask: Ask, nowMs: number): void {
    const { limiter, key } = ledger;
    const { workerId } = ask;
    const free = freeOf(ledger, nowMs);
    const window = ledger.log.tightest;
    const remaining = free + (findAccount(ledger, workerId)?.tokens ?? 0);
    const atOnce = Math.min(ask.waiting, free);
    // Shrinks to nothing as the key nears its limit, so that little is stranded with a worker that does not need it.
    const ahead = Math.min(ask.extra, Math.floor((free - atOnce) / (AHEAD_PART * this.#workers.size)));
    const tokens = atOnce + ahead;
    const expiresAtMs = Math.ceil(nowMs) + leaseMsOf(ledger.log.windows);
    let lease = 0;
    if (tokens > 0) lease = lend(ledger, { workerId, lease: ++this.#lastLease, tokens, expiresAtMs }).lease;
    this.#order(workerId, { op: 'grant', limiter, key, lease, tokens, expiresAtMs, window, remaining });
  }

  #refuse(ledger: Ledger, ask: Ask, nowMs: number): void {
    const knownMs = ledger.log.freeAtMs(ledger.leased);
    // Tokens with a worker that does not answer may come back before the log says so.
    const untilMs = ledger.leased > 0 ? Math.min(knownMs, nowMs + RECALL_TIMEOUT_MS) : knownMs;
    const { limiter, key } = ledger;
    this.#order(ask.workerId, { op: 'refuse', limiter, key, untilMs, window: ledger.log.tightest });
  }

  /** Asks the other workers for their unused tokens. Gives false when there is nobody left to ask. */
  #recall(ledger: Ledger, askerId: number): boolean {
    for (const { workerId, isSilent } of ledger.accounts) {
      if (workerId === askerId || isSilent || !this.#workers.has(workerId)) continue;
      ledger.recalled.add(workerId);
      this.#order(workerId, { op: 'recall', limiter: ledger.limiter, key: ledger.key });
    }
    if (ledger.recalled.size === 0) return false;
    this.#recalling.add(ledger);
    const round = ++ledger.recallRound;
    this.#scheduler.after(RECALL_TIMEOUT_MS, () => this.#giveUpRecall(ledger, round));
    return true;
  }

  #giveUpRecall(ledger: Ledger, round: number): void {
    if (this.#isClosed || ledger.recalled.size === 0 || ledger.recallRound !== round) return;
    for (const account of ledger.accounts) if (ledger.recalled.has(account.workerId)) account.isSilent = true;
    ledger.recalled.clear();
    this.#serve(ledger, this.#options.clock.monotonicMs());
    this.#flush();
  }

  #order(workerId: number, order: LimitsOrder): void {
    const outbox = this.#outboxes.get(workerId);
    if (outbox) outbox.push(order);
    else this.#outboxes.set(workerId, [order]);
  }

  #flush(): void {
    for (const [workerId, orders] of this.#outboxes) this.#options.send(workerId, { type: 'limits', orders });
    this.#outboxes.clear();
  }
}

/** Makes the keeper of a node's limits. */
export function createLimitsKeeper(options: LimitsKeeperOptions): LimitsKeeper {
  return new Keeper(options);
}

function leaseMsOf(windows: readonly LimitWindow[]): number {
  let shortestMs = Number.POSITIVE_INFINITY;
  for (const { windowMs } of windows) shortestMs = Math.min(shortestMs, windowMs);
  return Math.min(MAX_LEASE_MS, Math.max(MIN_LEASE_MS, shortestMs));
}
