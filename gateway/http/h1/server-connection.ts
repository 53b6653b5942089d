// One client connection: reads requests one at a time, in order, and closes it as it should be closed.
// Must not know what a request is about.
import type { Socket } from 'node:net';
import { GatewayError } from '../../core/errors.ts';
import type { Tunnel } from '../../core/ports.ts';
import type { Timed } from '../message/deadlines.ts';
import { HeadBuffer } from '../message/head-buffer.ts';
import { readAccepted } from '../message/shared-reads.ts';
import { SocketTunnel } from '../message/socket-tunnel.ts';
import type { ConnectionOptions } from './connection-options.ts';
import { toRefusal, writeRefusal } from './refusal.ts';
import { type RequestHead, readRequestHead } from './request-head.ts';
import { type BodyConnection, ServerBody } from './server-body.ts';
import { type ResponseConnection, ServerResponse } from './server-response.ts';

/** Largest request head. */
const MAX_HEAD_BYTES = 32 * 1024;
/** Most bytes of pipelined requests that are read ahead; beyond, the connection is not read until some are answered. */
const MAX_AHEAD_BYTES = 64 * 1024;
/** Longest that a client may leave an answer lying without taking a byte of it. */
const STALLED_READER_MS = 60_000;
/** How long what still comes is read and thrown away after the last answer: closing at once could cost the client the answer. */
const LINGER_MS = 2_000;
/** Requests after which a connection is closed, so that load spreads again after a restart. */
const MAX_REQUESTS = 100_000;
const LF = 0x0a;
const CR = 0x0d;

/** Is one connection with a client that speaks HTTP/1.1. */
export class ServerConnection implements Timed, BodyConnection, ResponseConnection {
  deadlineMs: number;
  slot = -1;
  readonly socket: Socket;
  readonly written = (error?: Error | null): void => {
    if (!error) this.#finish();
  };
  readonly #options: ConnectionOptions;
  readonly #remoteAddress: string;
  readonly #localPort: number;
  readonly #head = new HeadBuffer(MAX_HEAD_BYTES);
  #response: ServerResponse | undefined;
  #body: ServerBody | undefined;
  #tunnel: SocketTunnel | undefined;
  /** What came behind the current request. */
  #ahead: Buffer | undefined;
  #requests = 0;
  /** `deaf`: what came is no message, so nothing that follows is read. */
  #state: 'open' | 'deaf' | 'lingering' | 'closed' = 'open';
  #isStalled = false;

  constructor(socket: Socket, options: ConnectionOptions) {
    this.socket = socket;
    this.#options = options;
    this.#remoteAddress = socket.remoteAddress ?? '';
    this.#localPort = socket.localPort ?? 0;
    this.deadlineMs = performance.now() + options.headerTimeoutMs;
    options.deadlines.watch(this);
    readAccepted(socket, (bytes) => this.#take(bytes));
    socket.on('end', () => this.#takeEnd());
    socket.on('drain', () => this.#drained());
    socket.on('error', () => socket.destroy());
    socket.on('timeout', () => this.#expireReader());
    socket.on('close', () => this.#close());
  }

  /** Says whether no answer is owed. */
  get isIdle(): boolean {
    return this.#response === undefined;
  }

  get isClosing(): boolean {
    return this.#options.isDraining() || this.#requests >= MAX_REQUESTS;
  }

  sendContinue(): void {
    if (this.socket.writable && !this.#response?.hasHead) this.socket.write('HTTP/1.1 100 Continue\r\n\r\n', 'latin1');
  }

  pauseReading(): void {
    this.socket.pause();
  }

  resumeReading(): void {
    this.socket.resume();
  }

  closeAfter(): void {
    this.#response?.closeAfter();
  }

  watch(): void {
    if (this.#body) this.deadlineMs = this.#body.deadlineMs;
  }

  stalled(): void {
    this.#isStalled = true;
    // Node's own time-out counts a byte that the system took as progress, which is what is meant here.
    this.socket.setTimeout(STALLED_READER_MS);
  }

  switchProtocols(): Tunnel {
    this.deadlineMs = Number.POSITIVE_INFINITY;
    const tunnel = new SocketTunnel(this.socket, { onActivity() {} });
    this.#tunnel = tunnel;
    const ahead = this.#ahead;
    this.#ahead = undefined;
    if (ahead) tunnel.take(ahead);
    return tunnel;
  }

  expire(): void {
    if (this.#response) this.#body?.expire();
    // Nothing was asked, or nothing that still matters.
    else if (this.#state !== 'open' || this.#body || this.#head.isEmpty) this.socket.destroy();
    else this.#refuse(new GatewayError('REQUEST_TIMEOUT', 'the request head took too long to arrive'));
  }

  #take(bytes: Buffer): void {
    if (this.#tunnel) this.#tunnel.take(bytes);
    else if (this.#state === 'open') this.#read(bytes);
  }

  /** Reads on until the bytes are used up, or a request has to be answered first. */
  #read(bytes: Buffer): void {
    let rest = bytes;
    try {
      while (rest.length > 0 && this.#state === 'open') {
        const body = this.#body;
        if (body && !body.isDone) {
          const end = body.take(rest);
          if (body.isDiscardedTooLong) this.#linger();
          if (end === -1) return;
          rest = rest.subarray(end);
          if (!this.#response) this.#rest();
        } else if (this.#response) {
          this.#keep(rest);
          return;
        } else {
          const end = this.#readHead(rest);
          if (end === -1) return;
          rest = rest.subarray(end);
        }
      }
    } catch (error) {
      this.#refuse(toRefusal(error));
    }
  }

  #keep(bytes: Buffer): void {
    // The bytes are lent.
    this.#ahead = Buffer.concat(this.#ahead ? [this.#ahead, bytes] : [bytes]);
    // The connection is read on, within bounds: else it would not be seen when the client leaves.
    if (this.#ahead.length > MAX_AHEAD_BYTES) this.socket.pause();
  }

  #readHead(bytes: Buffer): number {
    // One empty line before a request is read over, as RFC 9112 section 2.2 asks for.
    const skipped = this.#head.isEmpty && bytes[0] === CR && bytes[1] === LF ? 2 : 0;
    const piece = skipped === 0 ? bytes : bytes.subarray(skipped);
    if (piece.length === 0) return -1;
    const wasEmpty = this.#head.isEmpty;
    const end = this.#head.take(piece);
    if (end === -1) {
      // From the first byte on; a byte now and then must not move it.
      if (wasEmpty && this.#requests > 0) this.deadlineMs = performance.now() + this.#options.headerTimeoutMs;
      return -1;
    }
    this.#begin(readRequestHead(this.#head.text));
    return skipped + end;
  }

  #begin(head: RequestHead): void {
    const { handler, isTls, bodyIdleMs } = this.#options;
    this.#requests++;
    this.deadlineMs = Number.POSITIVE_INFINITY;
    const response = new ServerResponse(this, head);
    this.#response = response;
    const { facts, hasBody, expectsContinue } = head;
    this.#body = hasBody
      ? new ServerBody(this, {
          length: facts.isChunked ? undefined : facts.length,
          expectsContinue,
          idleMs: bodyIdleMs,
        })
      : undefined;
    handler(
      {
        method: head.method,
        target: head.target,
        httpVersion: head.version,
        rawHeaders: head.rawHeaders,
        body: this.#body,
        upgrade: head.upgrade,
        remoteAddress: this.#remoteAddress,
        localPort: this.#localPort,
        isTls,
      },
      response,
    );
  }

  /** Ends the current exchange: its response is on its way whole. */
  #finish(): void {
    const response = this.#response;
    if (!response || this.#state === 'closed') return;
    const body = this.#body;
    if (body && !body.isDone && !response.isLast) {
      // What the answer did not wait for is read within bounds; then the next request may come.
      body.discard();
    }
    response.closed(true);
    if (response.isLast) {
      this.#linger();
      return;
    }
    this.#response = undefined;
    if (body && !body.isDone) {
      this.deadlineMs = performance.now() + LINGER_MS;
      return;
    }
    this.#rest();
    const ahead = this.#ahead;
    this.#ahead = undefined;
    if (ahead) this.#read(ahead);
    if (this.socket.isPaused() && !this.#body && !this.#ahead) this.socket.resume();
  }

  /** Waits for the next request. */
  #rest(): void {
    this.#body = undefined;
    this.deadlineMs = performance.now() + this.#options.keepAliveMs;
  }

  /** Answers what cannot be read as a request, after every answer that is owed before it. */
  #refuse(refusal: GatewayError): void {
    const response = this.#response;
    if (response) {
      // The body is what is wrong: whoever reads it answers, and the connection closes after that.
      this.#state = 'deaf';
      response.closeAfter();
      this.#body?.fail(refusal);
      return;
    }
    this.socket.write(writeRefusal(refusal));
    this.#linger();
  }

  /** Ends our half, and reads what still comes for a while so that the answer is not lost to a reset. */
  #linger(): void {
    if (this.#state === 'lingering' || this.#state === 'closed') return;
    this.#state = 'lingering';
    this.#response = undefined;
    this.#ahead = undefined;
    this.deadlineMs = performance.now() + LINGER_MS;
    this.socket.end();
    this.socket.resume();
  }

  #takeEnd(): void {
    if (this.#tunnel) {
      this.#tunnel.takeEnd();
      return;
    }
    if (this.#state === 'lingering') return;
    const body = this.#body;
    if (this.#response && body?.isBeingRead && !this.#response.hasHead) {
      // Whoever reads half a body answers that; nobody waits for the answer to a request whose client has gone.
      this.#response.closeAfter();
      body.fail(new Error('the client broke off'));
      return;
    }
    if (this.#response) this.socket.destroy();
    else this.socket.end();
  }

  #drained(): void {
    if (!this.#isStalled) return;
    this.#isStalled = false;
    this.socket.setTimeout(0);
    this.#response?.drained();
  }

  #expireReader(): void {
    if (this.#isStalled) this.socket.destroy();
  }

  #close(): void {
    this.#state = 'closed';
    this.#options.deadlines.forget(this);
    const response = this.#response;
    const hasTunnel = this.#tunnel !== undefined;
    this.#response = undefined;
    this.#tunnel?.takeClose();
    this.#body?.fail(new Error('the client broke off'));
    response?.closed(hasTunnel && !this.socket.errored);
  }
}
