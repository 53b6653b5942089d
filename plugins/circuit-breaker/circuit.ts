// One circuit: closed, open, or half open, by what became of the requests in a sliding window.
// Must not know exchanges, statuses or clocks: it is told verdicts and times.

/** Says what became of a request: `none` is no word about the upstream, as when the client left. */
export type Verdict = 'good' | 'slow' | 'failed' | 'none';

/** Bounds a circuit. Times are milliseconds. */
export interface CircuitOptions {
  readonly windowMs: number;
  readonly minimumRequests: number;
  readonly failurePercent: number;
  readonly slowPercent: number;
  readonly openMs: number;
  readonly maxOpenMs: number;
  readonly probes: number;
}

/** Is a request that was let through. What it says counts only while the circuit has not turned since. */
export interface Pass {
  readonly turn: number;
}

/** Says what turned a circuit. */
export interface Turn {
  readonly state: 'open' | 'closed';
  readonly requests: number;
  readonly failures: number;
  readonly slow: number;
  /** How long it stays open; 0 = it is closed. */
  readonly openMs: number;
}

/** What ends in between is counted to the tenth of the window in which it ends. */
const SLOTS = 10;
const [REQUESTS, FAILURES, SLOW, KINDS] = [0, 1, 2, 3];

/** Decides who goes through. */
export class Circuit {
  readonly #options: CircuitOptions;
  readonly #slots: Uint32Array = new Uint32Array(SLOTS * KINDS);
  readonly #sums: Uint32Array = new Uint32Array(KINDS);
  #lastTick = 0;
  #turn = 0;
  /** Undefined = closed. */
  #openUntilMs: number | undefined;
  #openMs: number;
  /** Undefined = open, or closed. */
  #permits: number | undefined;
  #goodProbes = 0;

  constructor(options: CircuitOptions) {
    this.#options = options;
    this.#openMs = options.openMs;
  }

  /** Lets a request through, or gives the milliseconds after which it may try again. */
  enter(nowMs: number): Pass | number {
    if (this.#openUntilMs !== undefined) {
      if (this.#permits === undefined) {
        if (nowMs < this.#openUntilMs) return this.#openUntilMs - nowMs;
        this.#halfOpen();
      }
      if (!this.#permits) return 1;
      this.#permits--;
    }
    return { turn: this.#turn };
  }

  /** Takes what became of a request. Gives how that turned the circuit, if it did. */
  leave({ turn }: Pass, verdict: Verdict, nowMs: number): Turn | undefined {
    if (turn !== this.#turn) return undefined;
    if (this.#permits !== undefined) return this.#judgeProbe(verdict, nowMs);
    if (verdict === 'none') return undefined;
    this.#count(verdict, nowMs);
    return this.#isBad() ? this.#open(nowMs) : undefined;
  }

  /** Takes back that a request was good: its body broke off. Gives how that turned the circuit, if it did. */
  breakOff({ turn }: Pass, nowMs: number): Turn | undefined {
    if (turn !== this.#turn) return undefined;
    if (this.#permits !== undefined) return this.#judgeProbe('failed', nowMs);
    this.#advance(nowMs);
    this.#add(FAILURES, 1);
    return this.#isBad() ? this.#open(nowMs) : undefined;
  }

  /** Says that nothing is remembered here that a new circuit would not know. */
  isAtRest(nowMs: number): boolean {
    this.#advance(nowMs);
    return this.#openUntilMs === undefined && this.#sums[REQUESTS] === 0;
  }

  #halfOpen(): void {
    this.#turn++;
    this.#permits = this.#options.probes;
    this.#goodProbes = 0;
  }

  #judgeProbe(verdict: Verdict, nowMs: number): Turn | undefined {
    if (verdict === 'none') {
      this.#permits = (this.#permits ?? 0) + 1;
      return undefined;
    }
    this.#count(verdict, nowMs);
    if (verdict !== 'good') {
      this.#openMs = Math.min(this.#openMs * 2, Math.max(this.#options.maxOpenMs, this.#options.openMs));
      return this.#open(nowMs);
    }
    if (++this.#goodProbes < this.#options.probes) return undefined;
    this.#openMs = this.#options.openMs;
    this.#openUntilMs = undefined;
    return this.#finish({ state: 'closed', openMs: 0 });
  }

  #open(nowMs: number): Turn {
    this.#openUntilMs = nowMs + this.#openMs;
    return this.#finish({ state: 'open', openMs: this.#openMs });
  }

  /** Begins anew: who came before the turn says nothing about what is after it. */
  #finish(to: Pick<Turn, 'state' | 'openMs'>): Turn {
    const [requests = 0, failures = 0, slow = 0] = this.#sums;
    this.#slots.fill(0);
    this.#sums.fill(0);
    this.#turn++;
    this.#permits = undefined;
    return { ...to, requests, failures, slow };
  }

  #isBad(): boolean {
    const { minimumRequests, failurePercent, slowPercent } = this.#options;
    const [requests = 0, failures = 0, slow = 0] = this.#sums;
    if (requests < minimumRequests) return false;
    return failures * 100 >= requests * failurePercent || slow * 100 >= requests * slowPercent;
  }

  #count(verdict: Verdict, nowMs: number): void {
    this.#advance(nowMs);
    this.#add(REQUESTS, 1);
    if (verdict === 'failed') this.#add(FAILURES, 1);
    if (verdict === 'slow') this.#add(SLOW, 1);
  }

  #add(kind: number, amount: number): void {
    const place = (this.#lastTick % SLOTS) * KINDS + kind;
    this.#slots[place] = (this.#slots[place] ?? 0) + amount;
    this.#sums[kind] = (this.#sums[kind] ?? 0) + amount;
  }

  /** Forgets what has left the window. */
  #advance(nowMs: number): void {
    const tick = Math.floor((nowMs * SLOTS) / this.#options.windowMs);
    for (let next = Math.max(this.#lastTick, tick - SLOTS) + 1; next <= tick; next++) {
      this.#lastTick = next;
      for (let kind = 0; kind < KINDS; kind++) this.#add(kind, -(this.#slots[(next % SLOTS) * KINDS + kind] ?? 0));
    }
  }
}
