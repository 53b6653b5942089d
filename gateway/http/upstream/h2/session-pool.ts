// The HTTP/2 connections to one target: few, each for many requests.
// Must not know HTTP: it says which connection a request goes over.
import type { LookupFunction } from 'node:net';
import type { TargetAddress } from '../../../core/ports.ts';
import type { Deadlines } from '../../message/deadlines.ts';
import { forgetGone } from '../pool.ts';
import { UpstreamSession } from './session.ts';

/** Most connections to one target; each carries as many requests as the target takes. */
const MAX_SESSIONS = 16;
/** Requests that may wait for room; more would only grow old. */
const MAX_WAITING = 1_024;
/** Requests for which one connection that opens is taken to be enough. */
const EXPECTED_ROOM = 100;

/** Waits for a connection with room. */
export interface Passenger {
  /** Gave up meanwhile. */
  readonly isOver: boolean;
  /** Wants a connection that carried nothing yet: one that idled was closed under it before. */
  readonly wantsFresh: boolean;
  begin(session: UpstreamSession): void;
  /** No connection could be opened. */
  miss(error: Error): void;
}

/** Spreads requests over connections. */
export class SessionPool {
  readonly #address: TargetAddress;
  readonly #lookup: LookupFunction;
  readonly #deadlines: Deadlines;
  readonly #sessions = new Set<UpstreamSession>();
  readonly #waiting: Passenger[] = [];
  readonly #onOpening: () => void;

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
    this.#waiting.push(passenger);
    this.#openMore();
    return true;
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

  #openMore(): void {
    let opening = 0;
    let usable = 0;
    for (const { http2, isClosing } of this.#sessions) {
      if (isClosing) continue;
      usable++;
      if (!http2) opening++;
    }
    if (usable >= MAX_SESSIONS || opening * EXPECTED_ROOM >= this.#waiting.length) return;
    this.#onOpening();
    this.#sessions.add(
      new UpstreamSession(
        this.#address,
        this.#lookup,
        {
          onRoom: (session) => this.#fill(session),
          onClosed: (session, error) => this.#drop(session, error),
        },
        this.#deadlines,
      ),
    );
  }

  #fill(session: UpstreamSession): void {
    while (session.hasRoom) {
      const next = this.#waiting.shift();
      if (!next) return;
      if (!next.isOver) next.begin(session);
    }
  }

  #drop(session: UpstreamSession, error: Error): void {
    this.#sessions.delete(session);
    const isHopeless = session.http2 === undefined && ![...this.#sessions].some(({ isClosing }) => !isClosing);
    if (isHopeless) {
      for (const one of this.#waiting.splice(0)) if (!one.isOver) one.miss(error);
    } else if (this.#waiting.some(({ isOver }) => !isOver)) this.#openMore();
  }
}
