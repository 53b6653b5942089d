// The books of one key: what was used when, and which worker holds how many tokens.
// Must not send, wait or decide who gets a token: that is the keeper.
import type { LimitWindow } from '../core/plugin.ts';
import type { LimitsReport } from './messages.ts';
import { KeyLog } from './sliding-window.ts';

/** How long after its end a lease may still be reported; until then its tokens count as used now. */
const REPORT_GRACE_MS = 1_000;

/** Is what one worker holds of one key. */
export interface Account {
  readonly workerId: number;
  readonly lease: number;
  tokens: number;
  expiresAtMs: number;
  /** Did not answer the last recall; not asked again until it speaks. */
  isSilent: boolean;
}

/** Is a worker's wish that is not answered yet. */
export interface Ask {
  readonly workerId: number;
  readonly waiting: number;
  readonly extra: number;
}

/** Is all that the keeper knows of one key. */
export interface Ledger {
  readonly limiter: string;
  readonly key: string;
  log: KeyLog;
  accounts: Account[];
  /** Sum of the accounts' tokens. */
  leased: number;
  asks: Ask[];
  /** Workers whose answer to a recall is awaited. */
  readonly recalled: Set<number>;
  recallRound: number;
}

/** Opens the books of a key. */
export function newLedger(limiter: string, key: string, windows: readonly LimitWindow[]): Ledger {
  const log = new KeyLog(windows);
  return { limiter, key, log, accounts: [], leased: 0, asks: [], recalled: new Set(), recallRound: 0 };
}

/** Gives how many tokens can be leased now; never more than every window can still take. */
export function freeOf(ledger: Ledger, nowMs: number): number {
  return Math.max(0, ledger.log.free(nowMs) - ledger.leased);
}

/** Finds what a worker holds. */
export function findAccount(ledger: Ledger, workerId: number): Account | undefined {
  return ledger.accounts.find((account) => account.workerId === workerId);
}

/** Writes down a lease; more tokens to a worker that holds some renew its lease whole. */
export function lend(ledger: Ledger, { workerId, lease, tokens, expiresAtMs }: Omit<Account, 'isSilent'>): Account {
  let account = findAccount(ledger, workerId);
  if (!account) {
    account = { workerId, lease, tokens: 0, expiresAtMs, isSilent: false };
    ledger.accounts.push(account);
  }
  account.tokens += tokens;
  account.expiresAtMs = expiresAtMs;
  ledger.leased += tokens;
  return account;
}

/** Counts what a worker says it used, and takes back what it returns. */
export function record(ledger: Ledger, workerId: number, report: LimitsReport): void {
  if (report.strays) ledger.log.addAll(report.strays);
  const account = findAccount(ledger, workerId);
  if (!account) return;
  account.isSilent = false;
  // A report of a lease that was settled already: its tokens are counted, and must not be taken from the next lease.
  if (account.lease !== report.lease) return;
  const before = account.tokens;
  for (let index = 0; index + 1 < report.uses.length && account.tokens > 0; index += 2) {
    const count = Math.min(report.uses[index + 1] ?? 0, account.tokens);
    ledger.log.add(report.uses[index] ?? 0, count);
    account.tokens -= count;
  }
  account.tokens -= Math.min(report.returned, account.tokens);
  ledger.leased -= before - account.tokens;
  if (account.tokens === 0) ledger.accounts = ledger.accounts.filter((candidate) => candidate !== account);
}

/** Counts leases that ended without a report as used at their end. */
export function settle(ledger: Ledger, nowMs: number): void {
  if (ledger.leased === 0) return;
  for (const account of ledger.accounts) {
    if (nowMs < account.expiresAtMs + REPORT_GRACE_MS) continue;
    ledger.log.add(account.expiresAtMs, account.tokens);
    ledger.leased -= account.tokens;
    account.tokens = 0;
  }
  ledger.accounts = ledger.accounts.filter((account) => account.tokens > 0);
}

/** Says whether closing the books changes nothing. */
export function isIdle(ledger: Ledger, nowMs: number): boolean {
  settle(ledger, nowMs);
  const isBusy = ledger.leased > 0 || ledger.asks.length > 0 || ledger.recalled.size > 0;
  return !isBusy && ledger.log.isEmpty(nowMs);
}
