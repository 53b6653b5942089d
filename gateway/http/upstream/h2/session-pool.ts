// The HTTP/2 connections to one target: few, each for many requests.
// Must not know HTTP: it says which connection a request goes over.
import type { LookupFunction } from 'node:net';
import type { TargetAddress } from '../../../core/ports.ts';
import type { Deadlines, Timed } from '../../message/deadlines.ts';
import { forgetGone } from '../pool.ts';
import { UpstreamSession } from './session.ts';

/** Most connections to one target that take requests; each carries as many as the target takes. */
const MAX_SESSIONS = 16;
/** Most connections with those too old for more requests, which end with what they carry: beyond, an old one is used again. */
const MAX_OPEN = 64;
/** Requests that may wait for room; more would only grow old. */
const MAX_WAITING = 1_024;
/** Requests for which one connection is taken to be enough before a target has said what it takes; RFC 9113 section 6.5.2. */
const EXPECTED_ROOM = 100;
/** How long no connection opens for those who wait after one failed; doubles with each that fails, until one opens. */
const REOPEN_MS = 100;
/** Longest such pause. */
const MAX_REOPEN_MS = 3_000;
/** The same after a target turned out not to speak HTTP/2. */
const UNFIT_MS = 30_000;

/** Waits for a connection with room. */
export interface Passenger {
  /** Gave up meanwhile. */
  readonly isOver: boolean;
  /** Was on a connection already whose target did not look at it. */
  readonly wasRefused: boolean;
  /** Wants a connection that carried nothing yet: one that idled was closed under it before. */
  readonly wantsFresh: boolean;
  begin(session: UpstreamSession): void;
  /** No connection could be opened. */
  miss(error: Error): void;
}

/** Spreads requests over connections. */
export class SessionPool implements Timed {
  deadlineMs = 0;
  slot = -1;
  readonly #address: TargetAddress;
  readonly #lookup: LookupFunction;
  readonly #deadlines: Deadlines;
  readonly #sessions = new Set<UpstreamSession>();
  readonly #waiting: Passenger[] = [];
  readonly #onOpening: () => void;
  #expectedRoom = EXPECTED_ROOM;
  #reopenMs = REOPEN_MS;
  /** No connection opens before, but one for a request that finds none. */
  #opensAtMs = 0;

  /** `onOpening` runs before each new connection. */
  constructor(address: TargetAddress, lookup: LookupFunction, deadlines: Deadlines, onOpening: () => void) {
    this.#address = address;
    this.#lookup = lookup;
    this.#deadlines = deadlines;
    this.#onOpening = onOpening;
  }

  /** Says whether no connection is left. */
  get isEmpty(): boolean {
    return this.#sessions.size === 0;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Connections that carry nothing; such as still open are waited for. */
  get idle(): number {
    let count = 0;
    for (const { active, http2 } of this.#sessions) if (active === 0 && http2) count++;
    return count;
  }

  /** Requests that connections carry. */
  get active(): number {
    let count = 0;
    for (const session of this.#sessions) count += session.active;
    return count;
  }

  /** Says whether those who wait do so because the target takes no more at a time, and not because connecting takes long. */
  get isCrowded(): boolean {
    for (const session of this.#sessions) if (session.isFull) return true;
    return false;
  }

  /** Lets a request begin, now or when there is room. Gives false when too many wait already. */
  board(passenger: Passenger): boolean {
    const session = this.#find(passenger.wantsFresh);
    if (session) {
      passenger.begin(session);
      return true;
    }
    if (this.#waiting.length >= MAX_WAITING && !forgetGone(this.#waiting)) return false;
    if (passenger.wasRefused) this.#waiting.unshift(passenger);
    else this.#waiting.push(passenger);
    // Who asks an unreachable target learns it at once: another may be there for the request.
    if (!passenger.wasRefused && !this.#isReachable) this.#open();
    else this.#openMore();
    return true;
  }

  /** The pause after a failure is over. */
  expire(): void {
    this.#deadlines.forget(this);
    if (this.#isAwaited) this.#openMore();
  }

  /** Ends connections that are unwanted from now on, each after what it carries. */
  retire(isUnwanted: (session: UpstreamSession) => boolean): void {
    for (const session of [...this.#sessions]) if (isUnwanted(session)) session.retire();
  }

  /** Does nothing: connections that nobody needs close by themselves. */
  trim(): void {}

  /** Closes every connection now. */
  close(): void {
    this.#waiting.length = 0;
    this.#deadlines.forget(this);
    for (const session of [...this.#sessions]) session.close();
  }

  /** Gives the one with the fewest streams among those with room. */
  #find(wantsFresh: boolean): UpstreamSession | undefined {
    let best: UpstreamSession | undefined;
    for (const session of this.#sessions) {
      if (!session.hasRoom || (wantsFresh && session.served > 0)) continue;
      if (!best || session.active < best.active) best = session;
    }
    return best;
  }

  get #isReachable(): boolean {
    for (const { isTaking } of this.#sessions) if (isTaking) return true;
    return false;
  }

  get #isAwaited(): boolean {
    return this.#waiting.some(({ isOver }) => !isOver);
  }

  /** Opens as many connections as those who wait are expected to fill. */
  #openMore(): void {
    let opening = 0;
    let taking = 0;
    for (const { isTaking, isSettled } of this.#sessions) {
      if (!isTaking) continue;
      taking++;
      if (!isSettled) opening++;
    }
    for (; taking < MAX_SESSIONS && opening * this.#expectedRoom < this.#waiting.length; taking++, opening++) {
      if (performance.now() < this.#opensAtMs) {
        this.#openLater();
        return;
      }
      this.#open();
    }
  }

  #openLater(): void {
    this.#deadlines.forget(this);
    this.deadlineMs = this.#opensAtMs;
    this.#deadlines.watch(this);
  }

  #open(): void {
    if (this.#renewOld()) return;
    this.#onOpening();
    this.#sessions.add(
      new UpstreamSession(
        this.#address,
        this.#lookup,
        {
          onRoom: (session) => this.#fill(session),
          onSettled: (session, maxStreams) => this.#settled(session, maxStreams),
          onLeaving: ({ served }) => {
            if (served === 0) this.#holdBack(this.#reopenMs);
          },
          onClosed: (session, error) => this.#drop(session, error),
        },
        this.#deadlines,
      ),
    );
  }

  /** Uses an old connection again when too many are open. Such as the target closes do not count: it may be about to. */
  #renewOld(): boolean {
    let open = 0;
    let best: UpstreamSession | undefined;
    for (const session of this.#sessions) {
      if (session.isClosing) continue;
      open++;
      if (session.isAged && (!best || session.active < best.active)) best = session;
    }
    if (open < MAX_OPEN || !best) return false;
    best.renew();
    this.#fill(best);
    return true;
  }

  #settled(session: UpstreamSession, maxStreams: number): void {
    this.#reopenMs = REOPEN_MS;
    this.#expectedRoom = Math.max(1, maxStreams);
    this.#fill(session);
    if (this.#isAwaited) this.#openMore();
  }

  #fill(session: UpstreamSession): void {
    while (session.hasRoom) {
      const next = this.#waiting.shift();
      if (!next) return;
      if (!next.isOver) next.begin(session);
    }
    // What ends on an old connection makes room on none.
    if (!session.isTaking && this.#isAwaited) this.#openMore();
  }

  #drop(session: UpstreamSession, error: Error): void {
    this.#sessions.delete(session);
    if (!session.isSettled) this.#holdBack(session.isUnfit ? UNFIT_MS : this.#reopenMs);
    if (!session.isSettled && !this.#isReachable) {
      for (const one of this.#waiting.splice(0)) if (!one.isOver) one.miss(error);
    } else if (this.#isAwaited) this.#openMore();
  }

  /** Waits before the next connection: one did not open, or went away before it answered anything. */
  #holdBack(pauseMs: number): void {
    const nowMs = performance.now();
    // Connections that open together fail together.
    if (nowMs < this.#opensAtMs) return;
    this.#opensAtMs = nowMs + pauseMs;
    this.#reopenMs = Math.min(this.#reopenMs * 2, MAX_REOPEN_MS);
  }
}
