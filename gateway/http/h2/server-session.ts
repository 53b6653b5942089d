// One connection with a client that speaks HTTP/2: its bounds, what it may cost, how it ends.
// Must not know what a request is about.

import {
  constants,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import { GatewayError } from '../../core/errors.ts';
import { buildError } from '../../core/exchange/answers.ts';
import { isGrpc } from '../../core/exchange/grpc.ts';
import type { ConnectionFacts, ConnectionOptions } from '../h1/connection-options.ts';
import type { Deadlines, Timed } from '../message/deadlines.ts';
import { countArrivals } from './arrivals.ts';
import { endLate } from './late-end.ts';
import { MAX_HEADER_LIST_BYTES, type RequestHead, readRequestHead } from './request-head.ts';
import { ResetBudget } from './reset-budget.ts';
import { ServerStream, type StreamEnding, type StreamOwner } from './server-stream.ts';
import { StreamBody } from './stream-body.ts';
import { TrafficWatch } from './traffic-watch.ts';

/** Requests that a client may have open at a time on one connection. */
const MAX_STREAMS = 100;
/**
 * Bytes of all bodies of a connection that may be on their way. node:http2 opens this window again as they arrive, so what
 * waits for its reader is bounded by the window of each stream alone: 64 KiB, which is the default.
 */
const CONNECTION_WINDOW_BYTES = 1024 * 1024;
/** Streams after which a connection is ended, so that load spreads again after a restart. */
const MAX_REQUESTS = 100_000;
/** How long new streams are still taken after the client was told that the connection ends: it may be sending one. */
const GOAWAY_GRACE_MS = 1_000;
/** How long a client may take to close after it was told to. */
const LINGER_MS = 2_000;
/** How often a connection is looked at. */
const LOOK_MS = 2_000;
/** The highest id that a stream can have. */
const LAST_STREAM_ID = 2 ** 31 - 1;

const OPTIONS: ServerOptions = {
  settings: { maxConcurrentStreams: MAX_STREAMS, maxHeaderListSize: MAX_HEADER_LIST_BYTES, enablePush: false },
  // In force at once, where settings wait for the client to acknowledge them; 4 are pseudo-headers, and what is between
  // this and the bound of request-head.ts gets an answer.
  maxHeaderListPairs: 128,
  maxSettings: 32,
  maxOutstandingPings: 10,
  // Mebibytes; one body ahead of its reader on each stream and a large head each fit.
  maxSessionMemory: 16,
  maxSessionInvalidFrames: 100,
  maxSessionRejectedStreams: 100,
};

/** Takes a connection on which HTTP/2 begins; what was read of it already must have been put back. */
export function serveHttp2(socket: Duplex, options: ConnectionOptions, facts: ConnectionFacts): ServerSession {
  return new ServerSession(socket, options, facts);
}

/** Is one connection with a client that speaks HTTP/2. */
export class ServerSession implements Timed, StreamOwner {
  readonly protocol = 'h2';
  deadlineMs: number;
  slot = -1;
  readonly deadlines: Deadlines;
  readonly traffic: TrafficWatch = new TrafficWatch(performance.now());
  readonly #socket: Duplex;
  readonly #session: ServerHttp2Session;
  readonly #options: ConnectionOptions;
  readonly #facts: ConnectionFacts;
  readonly #resets = new ResetBudget();
  #open = 0;
  #requests = 0;
  /** Closes once it is idle: we have said so, or the client has. */
  #isFinishing = false;
  /** The last stream that the client was told is looked at; it may send those beyond again elsewhere. RFC 9113 section 6.8. */
  #lastStreamId = LAST_STREAM_ID;
  /** When it has been idle for too long. */
  #idleUntilMs: number;
  #closingUntilMs = Number.POSITIVE_INFINITY;
  #goawayTimer: NodeJS.Timeout | undefined;

  constructor(socket: Duplex, options: ConnectionOptions, facts: ConnectionFacts) {
    this.#socket = socket;
    this.#options = options;
    this.#facts = facts;
    this.deadlines = options.deadlines;
    const session = endLate(performServerHandshake(socket, OPTIONS), () => this.isIdle);
    this.#session = session;
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    session.on('stream', (stream, _fields, flags, raw?: readonly string[]) => this.#take(stream, flags, raw ?? []));
    // The socket closes with it, and that is all that there is to say.
    session.on('error', () => undefined);
    session.on('frameError', () => undefined);
    // A client that closes its half wants no answers any more.
    socket.on('end', () => this.#session.destroy());
    socket.on('close', () => this.#closed());
    this.#idleUntilMs = performance.now() + options.headerTimeoutMs;
    session.once('remoteSettings', () => this.#rest());
    session.on('goaway', () => this.#finish());
    this.deadlineMs = this.#idleUntilMs;
    options.deadlines.watch(this);
  }

  /** Says whether no answer is owed. */
  get isIdle(): boolean {
    return this.#open === 0;
  }

  /** Tells the client that the connection ends; what it asks until it has heard that is answered. */
  drain(): void {
    if (this.#goawayTimer) return;
    if (this.#isFinishing || this.#session.destroyed) {
      this.#finish();
      return;
    }
    this.#session.goaway(constants.NGHTTP2_NO_ERROR, LAST_STREAM_ID);
    this.#goawayTimer = setTimeout(() => this.#finish(), GOAWAY_GRACE_MS);
    this.#goawayTimer.unref();
  }

  left(ending: StreamEnding): void {
    this.#open--;
    if (ending === 'whole') this.#resets.earn();
    else if (ending === 'reset') this.#countReset();
    if (this.#open === 0) this.#rest();
  }

  expire(): void {
    const nowMs = performance.now();
    if (nowMs >= this.#closingUntilMs) this.#socket.destroy();
    else if (this.#open > 0) this.#look(nowMs);
    else if (nowMs >= this.#idleUntilMs) this.#finish();
    else this.#look(nowMs);
    this.#schedule(nowMs);
  }

  #look(nowMs: number): void {
    const { bytesRead = 0 } = this.#socket as { readonly bytesRead?: number };
    const verdict = this.traffic.look(bytesRead, nowMs);
    if (verdict === 'flooded') this.#calmDown();
    // Without streams the time for idleness bounds it.
    else if (this.#open === 0 || this.#session.destroyed) return;
    // nghttp2 ends connections in silence too: it says GOAWAY, reads no more, and node does not hear of it.
    else if (verdict === 'dead') this.#socket.destroy();
    else if (verdict === 'silent') this.#session.ping(ignore);
  }

  #take(stream: ServerHttp2Stream, flags: number, raw: readonly string[]): void {
    stream.on('error', ignore);
    // Reset in the same breath: nothing was asked, and nothing is done. CVE-2023-44487.
    if (stream.destroyed) {
      this.#countReset();
      return;
    }
    // nghttp2 closes it as soon as it has sent the GOAWAY.
    if ((stream.id ?? 0) > this.#lastStreamId) return;
    this.#open++;
    this.#requests++;
    this.#idleUntilMs = Number.POSITIVE_INFINITY;
    if (this.#requests === MAX_REQUESTS) this.drain();
    if ((flags & constants.NGHTTP2_FLAG_END_STREAM) === 0) countArrivals(stream, this.traffic);
    try {
      this.#begin(stream, flags, readRequestHead(raw));
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      this.#refuse(stream, error, isGrpc({ httpVersion: '2.0', rawHeaders: raw }));
    }
  }

  #begin(stream: ServerHttp2Stream, flags: number, head: RequestHead): void {
    this.traffic.countHead(head.bytes);
    const { method, target, rawHeaders, acceptsTrailers } = head;
    const hasBody = (flags & constants.NGHTTP2_FLAG_END_STREAM) === 0;
    const body = hasBody ? new StreamBody(stream, this, head, this.#options.bodyIdleMs) : undefined;
    const response = new ServerStream(stream, this, { method, acceptsTrailers, body });
    const { remoteAddress, localPort, tls } = this.#facts;
    this.#options.handler(
      { method, target, httpVersion: '2.0', rawHeaders, body, upgrade: undefined, remoteAddress, localPort, tls },
      response,
    );
  }

  /** Answers what never becomes a request of the core. */
  #refuse(stream: ServerHttp2Stream, error: GatewayError, isCall: boolean): void {
    this.#options.tally.countRefusal(error.code);
    const { status, headers, body } = buildError(error, '', isCall);
    const lines: string[] = [];
    headers.writeTo(lines);
    const response = new ServerStream(stream, this, { method: 'GET', acceptsTrailers: false, body: undefined });
    stream.resume();
    response.writeHead(status, lines, isCall ? undefined : body.length);
    response.write(body);
    response.end();
  }

  #rest(): void {
    const nowMs = performance.now();
    this.#idleUntilMs = nowMs + this.#options.keepAliveMs;
    if (this.#isFinishing || this.#session.destroyed) this.#finish();
    this.#schedule(nowMs);
  }

  #schedule(nowMs: number): void {
    this.deadlineMs = Math.min(nowMs + LOOK_MS, this.#idleUntilMs, this.#closingUntilMs);
  }

  /** Closes once the streams that are open have ended. */
  #finish(): void {
    if (!this.#isFinishing) this.#lastStreamId = this.#session.state.lastProcStreamID ?? LAST_STREAM_ID;
    this.#isFinishing = true;
    this.#session.close();
    // Its socket waits for the client to go.
    if (this.#open === 0) this.#closingUntilMs = Math.min(this.#closingUntilMs, performance.now() + LINGER_MS);
    this.#schedule(performance.now());
  }

  #countReset(): void {
    if (!this.#resets.spend(performance.now())) this.#calmDown();
  }

  #calmDown(): void {
    this.#session.destroy(new Error('the client is too expensive'), constants.NGHTTP2_ENHANCE_YOUR_CALM);
    this.#closingUntilMs = performance.now() + LINGER_MS;
  }

  #closed(): void {
    clearTimeout(this.#goawayTimer);
    this.deadlines.forget(this);
    this.#session.destroy();
  }
}

function ignore(): void {}
