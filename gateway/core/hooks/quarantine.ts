// Puts a binding aside whose hooks fail too often, and tries it again by and by.
// Must not decide what takes its place: whoever runs hooks does, by the fail policy.
import type { HookName } from '../manifest.ts';

/** Failures are counted over this long. */
const WINDOW_MS = 10_000;
/** A window that is as old, and in which most went well, is over: it would hide for as long again what begins now. */
const STALE_MS = 2_000;
/** Fewer failures say nothing. */
const MIN_FAILURES = 5;
/** Part of the exchanges that must fail. */
const MIN_PART = 0.5;
const FIRST_REST_MS = 5_000;
const MAX_REST_MS = 300_000;
/** Exchanges that must go well before the binding is trusted again. */
const PROBES = 3;
/** A probe that tells nothing for so long is taken for lost. */
const PROBE_TIMEOUT_MS = 10_000;

/** Is what happened in an exchange, without anything that a client could call a secret: no query, no header value, no body. */
export interface IncidentSample {
  readonly exchange: string;
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly api: string;
  readonly route: string;
  readonly consumer: string | undefined;
  /** Names of the headers, lower case. */
  readonly headers: readonly string[];
}

/** Is the failure that put a binding aside. */
export interface Incident {
  /** When the exchange began, in milliseconds since the Unix epoch. */
  readonly atMs: number;
  readonly hook: HookName;
  readonly reason: string;
  /** Failures in the seconds before, of so many hooks run. */
  readonly failures: number;
  readonly calls: number;
  readonly sample: IncidentSample;
}

/** Watches one set-up of a plugin. Times are monotonic milliseconds. */
export class Quarantine {
  /** Says that not every exchange may pass: asked for every hook, so it is a field. */
  isAside = false;
  incident: Incident | undefined;
  readonly #hooksPerExchange: number;
  #windowFromMs = Number.NEGATIVE_INFINITY;
  #callsBefore = 0;
  #failures = 0;
  #restMs = FIRST_REST_MS;
  #untilMs = 0;
  #probe: object | undefined;
  #probeFromMs = 0;
  #hasProbeSucceeded = false;
  #successes = 0;

  /** `hooks`: how many of them an exchange runs at most. */
  constructor(hooks: number) {
    this.#hooksPerExchange = Math.max(1, hooks);
  }

  /** Says whether an exchange may run the hooks of a binding that is aside: it is the one that tries. */
  admits(exchange: object, nowMs: number): boolean {
    if (exchange === this.#probe) return true;
    if (nowMs < this.#untilMs) return false;
    const isWaiting = this.#probe && !this.#hasProbeSucceeded && nowMs - this.#probeFromMs < PROBE_TIMEOUT_MS;
    if (isWaiting) return false;
    if (this.#probe && this.#hasProbeSucceeded && ++this.#successes >= PROBES) {
      this.#trust();
      return true;
    }
    this.#probe = exchange;
    this.#probeFromMs = nowMs;
    this.#hasProbeSucceeded = false;
    return true;
  }

  /** Hears that a hook went well while the binding was aside. */
  noteSuccess(exchange: object): void {
    if (exchange === this.#probe) this.#hasProbeSucceeded = true;
  }

  /** Hears of a failure, after so many hooks run in all; gives true when it puts the binding aside. */
  noteFailure(exchange: object, nowMs: number, calls: number): boolean {
    if (this.isAside) {
      // What began before does not prolong the rest.
      if (exchange !== this.#probe) return false;
      this.#restMs = Math.min(MAX_REST_MS, 2 * this.#restMs);
      this.#setAside(nowMs);
      return true;
    }
    this.#failures++;
    const ageMs = nowMs - this.#windowFromMs;
    if (ageMs > WINDOW_MS || (ageMs > STALE_MS && !this.#isMostlyBad(calls))) {
      this.#windowFromMs = nowMs;
      this.#callsBefore = calls - 1;
      this.#failures = 1;
    }
    if (this.#failures < MIN_FAILURES || !this.#isMostlyBad(calls)) return false;
    this.#setAside(nowMs);
    return true;
  }

  /** Sets it aside at once, for so long at least: one failure was enough. */
  setAsideFor(restMs: number, nowMs: number): void {
    const untilMs = this.isAside ? this.#untilMs : nowMs;
    this.#restMs = Math.max(restMs, untilMs - nowMs);
    this.#setAside(nowMs);
  }

  /** Gives failures and hooks run in the current window. */
  tally(calls: number): { readonly failures: number; readonly calls: number } {
    return { failures: this.#failures, calls: calls - this.#callsBefore };
  }

  #isMostlyBad(calls: number): boolean {
    return this.#failures * this.#hooksPerExchange >= MIN_PART * (calls - this.#callsBefore);
  }

  #setAside(nowMs: number): void {
    this.isAside = true;
    this.#untilMs = nowMs + this.#restMs;
    this.#probe = undefined;
    this.#hasProbeSucceeded = false;
    this.#successes = 0;
  }

  #trust(): void {
    this.isAside = false;
    this.#probe = undefined;
    this.#restMs = FIRST_REST_MS;
    this.#windowFromMs = Number.NEGATIVE_INFINITY;
  }
}
