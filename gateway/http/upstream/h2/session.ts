// One HTTP/2 connection to a target: carries many requests at a time, and says when it can carry another.
// Must not choose targets or try again.
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2';
import { connect, type LookupFunction, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { TargetAddress } from '../../../core/ports.ts';
import { endLate } from '../../h2/late-end.ts';
import type { Deadlines, Timed } from '../../message/deadlines.ts';
import { openSecure } from '../secure-socket.ts';

/** Streams before the target has said how many it takes: a round trip later it has, and refuses none that nobody sent. */
const FIRST_STREAMS = 1;
/** Most streams on one connection, whatever the target takes: beyond, another connection does more. */
const MAX_STREAMS = 256;
/**
 * More lines than the 64 KiB that nghttp2 takes of a head can hold, each 32 bytes and more: that there are too many is for
 * us to say, as node:http2 would by a reset that looks like one from the target.
 */
const MAX_HEADER_PAIRS = 2_048;
/** Bytes that the bodies of all streams may be ahead of their readers; of one: 64 KiB, which is the default. */
const CONNECTION_WINDOW_BYTES = 1024 * 1024;
/** How long a connection that refused a stream takes no more than it carries; doubles until the next answer. */
const REFUSED_MS = 100;
/** Longest such pause. */
const MAX_REFUSED_MS = 3_000;
/** How a target says in the handshake that it speaks none of what was offered. */
const NO_PROTOCOL = 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL';
/** How long a connection without a stream is kept. */
const KEEP_ALIVE_MS = 30_000;
/** How often a connection in use is asked whether it still lives: gRPC servers take offence below five minutes. */
const PING_EVERY_MS = 310_000;
/** How long the answer to that may take. */
const PING_ANSWER_MS = 5_000;
/** How long a connection takes streams at all, so that load spreads again over what has come up behind an address. */
const MAX_AGE_MS = 600_000;
/** How long what is left of a connection may take to close. */
const CLOSE_MS = 2_000;

/** Hears what happens to a connection. */
export interface SessionEvents {
  /** It can carry requests, or more of them, or is too old to. */
  onRoom(session: UpstreamSession): void;
  /** The target said how many it takes at a time. */
  onSettled(session: UpstreamSession, maxStreams: number): void;
  /** The target takes nothing more over it. */
  onLeaving(session: UpstreamSession): void;
  /** It is gone, and what waited for it to open waits for nothing. */
  onClosed(session: UpstreamSession, error: Error): void;
}

/** Is a connection, opening or open. */
export class UpstreamSession implements Timed {
  deadlineMs: number;
  slot = -1;
  /** Streams that are open. */
  active = 0;
  /** The target has said how many streams it takes. */
  isSettled = false;
  /** The target does not speak HTTP/2, and will not soon. */
  isUnfit = false;
  /** Takes no more streams: closed, or soon to be. */
  isClosing = false;
  /** The highest stream that the target will have looked at; beyond, nothing was done. RFC 9113 section 6.8. */
  lastStreamId: number = Number.POSITIVE_INFINITY;
  /** Undefined while it opens. */
  http2: ClientHttp2Session | undefined;
  readonly #socket: Socket;
  readonly #events: SessionEvents;
  readonly #deadlines: Deadlines;
  #served = 0;
  /** What the target said. */
  #settledStreams = FIRST_STREAMS;
  /** What it takes; fewer than it said after it refused one. */
  #maxStreams = FIRST_STREAMS;
  #refusedMs = REFUSED_MS;
  /** When another stream is tried after one was refused. */
  #probeAtMs: number = Number.POSITIVE_INFINITY;
  #isProbing = false;
  #isGone = false;
  #isPinging = false;
  #pingAtMs = 0;
  #retiresMs: number = performance.now() + MAX_AGE_MS;
  #answerUntilMs = 0;
  #restUntilMs = 0;
  #error: Error = new Error('the connection closed');

  constructor(address: TargetAddress, lookup: LookupFunction, events: SessionEvents, deadlines: Deadlines) {
    this.#events = events;
    this.#deadlines = deadlines;
    this.deadlineMs = performance.now() + address.connectMs;
    deadlines.watch(this);
    this.#socket = open(address, lookup);
    this.#socket.once(address.protocol === 'h2' ? 'secureConnect' : 'connect', () => this.#opened(address));
    this.#socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#error = error;
      if (error.code === NO_PROTOCOL) this.isUnfit = true;
    });
    this.#socket.on('close', () => this.#gone());
  }

  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress;
  }

  /** Responses that came whole: a failure after one may only mean that it was closed meanwhile. */
  get served(): number {
    return this.#served;
  }

  /** Says whether it takes streams, now or when it is open, and as far as there is room. */
  get isTaking(): boolean {
    return !this.isClosing && !this.isAged;
  }

  /** Says whether it is too old for more streams. */
  get isAged(): boolean {
    return performance.now() >= this.#retiresMs;
  }

  /** Says whether another stream can begin. */
  get hasRoom(): boolean {
    return this.http2 !== undefined && this.active < this.#maxStreams && this.isTaking;
  }

  /** Says whether it would take streams, but carries as many as the target takes. */
  get isFull(): boolean {
    return this.isSettled && this.active >= this.#maxStreams && this.isTaking;
  }

  /** A stream began. */
  enter(): void {
    this.active++;
    this.#schedule();
  }

  /** A stream is over. */
  leave(): void {
    this.active--;
    if (this.active === 0 && this.isClosing) this.http2?.close();
    else if (this.active === 0 && this.isAged) this.retire();
    if (this.active === 0) this.#rest();
    if (this.hasRoom || this.isAged) this.#events.onRoom(this);
  }

  /** A response came whole. */
  answered(): void {
    this.#served++;
    this.#refusedMs = REFUSED_MS;
    if (this.#maxStreams < this.#settledStreams) this.#maxStreams++;
  }

  /** The target refused a stream that is still counted: it gets no more than it has until it answers one, or for a while. */
  refuse(): void {
    if (this.isClosing) return;
    this.#maxStreams = Math.min(this.#maxStreams, this.active - 1);
    // What came of streams that began together is one refusal.
    if (this.#probeAtMs !== Number.POSITIVE_INFINITY && !this.#isProbing) return;
    this.#isProbing = false;
    this.#probeAtMs = performance.now() + this.#refusedMs;
    this.#refusedMs = Math.min(this.#refusedMs * 2, MAX_REFUSED_MS);
    this.#schedule();
  }

  /** Makes it as young as a new one, because there may be no other. */
  renew(): void {
    this.#retiresMs = performance.now() + MAX_AGE_MS;
  }

  /** Asks whether the connection lives, after a stream on it got no answer; one that does not is closed. */
  suspect(): void {
    if (this.#isPinging || this.isClosing || !this.http2) return;
    this.#isPinging = true;
    this.#answerUntilMs = performance.now() + PING_ANSWER_MS;
    this.http2.ping((error) => {
      this.#isPinging = false;
      if (error || this.#isGone) return;
      this.#pingAtMs = performance.now() + PING_EVERY_MS;
      this.#schedule();
    });
    this.#schedule();
  }

  expire(): void {
    if (performance.now() >= this.#probeAtMs) this.#probe();
    else if (!this.http2) this.#socket.destroy(new Error('connecting took too long'));
    else if (this.#isPinging || this.isClosing) this.close();
    else if (this.active > 0) this.suspect();
    else this.retire();
  }

  close(): void {
    this.isClosing = true;
    if (this.http2) this.http2.destroy();
    this.#socket.destroy();
    this.#gone();
  }

  #opened(address: TargetAddress): void {
    const { alpnProtocol } = this.#socket as TLSSocket;
    if (address.protocol === 'h2' && alpnProtocol !== 'h2') {
      this.isUnfit = true;
      this.#socket.destroy(new Error('the target does not speak HTTP/2'));
      return;
    }
    const http2 = endLate(
      connectHttp2(`http://${address.host.includes(':') ? `[${address.host}]` : address.host}`, {
        createConnection: () => this.#socket,
        settings: { enablePush: false },
        maxHeaderListPairs: MAX_HEADER_PAIRS,
        // Mebibytes: a window for each stream, and room for heads.
        maxSessionMemory: 64,
      }),
      () => this.active === 0,
    );
    this.http2 = http2;
    http2.on('error', (error) => {
      this.#error = error;
    });
    http2.on('close', () => this.#socket.destroy());
    http2.on('goaway', (_code, lastStreamId) => {
      this.lastStreamId = lastStreamId;
      this.retire();
      this.#events.onLeaving(this);
    });
    http2.on('remoteSettings', ({ maxConcurrentStreams }) => {
      this.#settledStreams = Math.min(maxConcurrentStreams ?? MAX_STREAMS, MAX_STREAMS);
      this.#maxStreams = this.#settledStreams;
      this.isSettled = true;
      this.#events.onSettled(this, this.#settledStreams);
    });
    http2.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    this.#pingAtMs = performance.now() + PING_EVERY_MS;
    this.#rest();
    this.#events.onRoom(this);
  }

  /** Takes no more streams, and closes when those that are open have ended. */
  retire(): void {
    if (this.isClosing || !this.http2) return;
    this.isClosing = true;
    this.#rest();
    this.http2.close();
  }

  /** One more stream shows whether the target takes more again. */
  #probe(): void {
    this.#isProbing = true;
    this.#maxStreams = Math.min(Math.max(this.#maxStreams, this.active) + 1, this.#settledStreams);
    const isWhole = this.#maxStreams === this.#settledStreams;
    this.#probeAtMs = isWhole ? Number.POSITIVE_INFINITY : performance.now() + this.#refusedMs;
    this.#schedule();
    if (this.hasRoom) this.#events.onRoom(this);
  }

  /** Waits for a stream, or for the end. */
  #rest(): void {
    this.#restUntilMs = performance.now() + (this.isClosing ? CLOSE_MS : KEEP_ALIVE_MS);
    this.#schedule();
  }

  #schedule(): void {
    let deadlineMs = this.isClosing ? Number.POSITIVE_INFINITY : this.#pingAtMs;
    if (this.#isPinging) deadlineMs = this.#answerUntilMs;
    else if (this.active === 0) deadlineMs = this.#restUntilMs;
    // Streams have deadlines of their own.
    this.deadlineMs = Math.min(deadlineMs, this.#probeAtMs);
  }

  #gone(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.isClosing = true;
    this.#deadlines.forget(this);
    this.#events.onClosed(this, this.#error);
  }
}

function open(address: TargetAddress, lookup: LookupFunction): Socket {
  const { protocol, host, port } = address;
  return protocol === 'h2' ? openSecure(address, lookup, 'h2') : connect({ host, port, lookup, noDelay: true });
}

/** Says whether a code means that nothing was done with the stream. RFC 9113 section 8.7. */
export function isRefusal(code: number): boolean {
  return code === constants.NGHTTP2_REFUSED_STREAM;
}
