// One client connection: reads requests one at a time, in order, and closes it as it should be closed.
// Must not know what a request is about.
import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { GatewayError } from '../../core/errors.ts';
import type { Tunnel } from '../../core/ports.ts';
import type { Timed } from '../message/deadlines.ts';
import { type MessageEvents, MessageWriter } from '../socket/message-writer.ts';
import { readAccepted } from '../socket/shared-reads.ts';
import type { SocketTunnel } from '../socket/socket-tunnel.ts';
import { WatchedPause } from '../socket/watched-pause.ts';
import type { ConnectionFacts, ConnectionOptions } from './connection-options.ts';
import { Linger } from './linger.ts';
import { ReadAhead } from './read-ahead.ts';
import { toRefusal } from './refusal.ts';
import { type RequestHead, toIncoming } from './request-head.ts';
import { RequestReader } from './request-reader.ts';
import { type BodyConnection, ServerBody } from './server-body.ts';
import { type ResponseConnection, ServerResponse } from './server-response.ts';
import { StalledClient } from './stalled-client.ts';

/**
 * How long a connection without a request stays open while draining. A client may be sending at this very moment, and
 * closing under it would cost it the request; its answer says `Connection: close` instead.
 */
const DRAIN_GRACE_MS = 1_000;
/** Requests after which a connection is closed, so that load spreads again after a restart. */
const MAX_REQUESTS = 100_000;

/** Is one connection with a client that speaks HTTP/1.1. */
export class ServerConnection implements Timed, BodyConnection, ResponseConnection, MessageEvents {
  readonly protocol = 'http/1.1';
  deadlineMs: number;
  slot = -1;
  readonly socket: Socket;
  readonly writer: MessageWriter;
  readonly written = (error?: Error | null): void => {
    if (!error) this.onWritten();
  };
  readonly #options: ConnectionOptions;
  readonly #facts: ConnectionFacts;
  readonly #reader = new RequestReader();
  readonly #pause: WatchedPause;
  #response: ServerResponse | undefined;
  #body: ServerBody | undefined;
  #tunnel: SocketTunnel | undefined;
  readonly ahead: ReadAhead = new ReadAhead();
  #requests = 0;
  /** `deaf`: what came is no message, so nothing that follows is read. */
  #state: 'open' | 'deaf' | 'lingering' | 'closed' = 'open';
  readonly #linger = new Linger();
  readonly #stalled: StalledClient;

  constructor(socket: Socket, options: ConnectionOptions, facts: ConnectionFacts) {
    this.socket = socket;
    this.writer = new MessageWriter(socket, this);
    this.#options = options;
    this.#pause = new WatchedPause(socket, options.pauses);
    this.#stalled = new StalledClient(socket, options.deadlines);
    this.#facts = facts;
    this.deadlineMs = performance.now() + options.headerTimeoutMs;
    options.deadlines.watch(this);
    readAccepted(socket, (bytes) => this.take(bytes));
    socket.on('end', () => this.#takeEnd());
    socket.on('drain', () => {
      if (this.#stalled.end()) this.#response?.drained();
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#close());
  }

  get isClosing(): boolean {
    return this.#options.isDraining() || this.#requests >= MAX_REQUESTS || this.#body?.isBeyondReuse === true;
  }

  /** Closes soon unless an answer is owed: that one is the last. */
  drain(): void {
    if (!this.#response) this.deadlineMs = Math.min(this.deadlineMs, performance.now() + DRAIN_GRACE_MS);
  }

  sendContinue(): void {
    if (this.socket.writable && !this.#response?.hasHead) this.socket.write('HTTP/1.1 100 Continue\r\n\r\n', 'latin1');
  }

  pauseReading(): void {
    this.#pause.pause();
  }

  resumeReading(): void {
    this.#pause.resume();
  }

  closeAfter(): void {
    this.#response?.closeAfter();
  }

  watch(): void {
    if (this.#body) this.deadlineMs = this.#body.deadlineMs;
  }

  onStalled(): void {
    this.#stalled.begin();
  }

  onQueued(): void {
    if (this.socket.writableNeedDrain) this.#stalled.begin();
    else this.#stalled.beginSoon();
  }

  switchProtocols(): Tunnel {
    this.deadlineMs = Number.POSITIVE_INFINITY;
    this.#pause.forget();
    const tunnel = this.#options.tally.openTunnel(this.socket);
    this.#tunnel = tunnel;
    const ahead = this.ahead.take();
    if (ahead) tunnel.take(ahead);
    return tunnel;
  }

  expire(): void {
    if (this.#response) this.#body?.expire();
    // Nothing was asked, or nothing that still matters.
    else if (this.#state !== 'open' || this.#body || this.#reader.isEmpty) this.socket.destroy();
    else this.#refuse(new GatewayError('REQUEST_TIMEOUT', 'the request head took too long to arrive'));
  }

  /** Takes bytes that came on its socket. */
  take(bytes: Buffer): void {
    if (this.#tunnel) this.#tunnel.take(bytes);
    else if (this.#state === 'open') this.#read(bytes);
    else if (this.#state === 'lingering') this.deadlineMs = this.#linger.goOn();
  }

  /** Reads on until the bytes are used up, or a request has to be answered first. */
  #read(bytes: Buffer): void {
    let rest = bytes;
    try {
      while (rest.length > 0 && this.#state === 'open') {
        const body = this.#body;
        if (body && !body.isDone) {
          const end = body.take(rest);
          if (body.isDiscardedTooLong) this.#giveUp();
          else if (!this.#response) this.deadlineMs = this.#linger.goOn();
          if (end === -1) return;
          rest = rest.subarray(end);
          if (!this.#response && this.#state === 'open') this.#rest();
        } else if (this.#response) {
          this.ahead.add(rest);
          if (this.ahead.isFull) this.pauseReading();
          return;
        } else {
          const end = this.#readHead(rest);
          if (end === -1 || end === rest.length) return;
          rest = rest.subarray(end);
        }
      }
    } catch (error) {
      this.#refuse(toRefusal(error));
    }
  }

  #readHead(bytes: Buffer): number {
    const reader = this.#reader;
    const wasEmpty = reader.isEmpty;
    const end = reader.take(bytes);
    const { head } = reader;
    if (end === -1 || !head) {
      // From the first byte on; a byte now and then must not move it.
      if (wasEmpty && !reader.isEmpty && this.#requests > 0) this.#expectWithin(this.#options.headerTimeoutMs);
      return -1;
    }
    reader.head = undefined;
    this.#begin(head);
    return end;
  }

  #begin(head: RequestHead): void {
    const { handler, bodyIdleMs } = this.#options;
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
    handler(toIncoming(head, this.#body, this.#facts), response);
  }

  /** Ends the current exchange: its response is on its way whole. */
  onWritten(): void {
    const response = this.#response;
    if (!response || this.#state === 'closed') return;
    this.#stalled.end();
    const body = this.#body;
    if (body && !body.isDone && !response.isLast) {
      // What the answer did not wait for is read within bounds; then the next request may come.
      body.discard();
    }
    response.closed(true);
    if (response.isLast) {
      this.#closeGently();
      return;
    }
    this.#response = undefined;
    if (body && !body.isDone) {
      this.deadlineMs = this.#linger.begin();
      return;
    }
    this.#rest();
    const ahead = this.ahead.take();
    if (ahead) this.#read(ahead);
    if (this.socket.isPaused() && !this.ahead.isFull && !this.#body?.isHolding) this.resumeReading();
  }

  /** Waits for the next request. */
  #rest(): void {
    this.#body = undefined;
    this.#expectWithin(this.#options.keepAliveMs);
  }

  #expectWithin(ms: number): void {
    const allowedMs = this.#options.isDraining() ? Math.min(ms, DRAIN_GRACE_MS) : ms;
    this.deadlineMs = performance.now() + allowedMs;
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
    // What is left of a request that was answered: a second answer would be taken for that to the next request.
    if (!this.#body) this.socket.write(this.#options.tally.refuse(refusal));
    this.#closeGently();
  }

  /** Ends a connection on which more comes behind the answer than is worth reading, once that answer is out. */
  #giveUp(): void {
    if (!this.#response) {
      this.#closeGently();
      return;
    }
    this.#state = 'deaf';
    this.#response.closeAfter();
  }

  /** Ends our half, and reads what still comes for a while so that the answer is not lost to a reset. */
  #closeGently(): void {
    if (this.#state === 'lingering' || this.#state === 'closed') return;
    this.#state = 'lingering';
    this.#response = undefined;
    this.ahead.take();
    this.deadlineMs = this.#linger.begin();
    this.socket.end();
    this.resumeReading();
  }

  #takeEnd(): void {
    if (this.#tunnel) {
      this.#tunnel.takeEnd();
      return;
    }
    if (this.#state === 'lingering') return;
    const body = this.#body;
    if (this.#response && !this.#response.hasHead && body?.isBeingRead) {
      // Half a body can be answered; nobody waits for the answer to a request that is whole and whose client has gone.
      this.#response.closeAfter();
      body.fail(new Error('the client broke off'));
      return;
    }
    if (this.#response) this.socket.destroy();
    else this.socket.end();
  }

  #close(): void {
    this.#state = 'closed';
    this.#options.deadlines.forget(this);
    this.#pause.forget();
    this.#stalled.end();
    const response = this.#response;
    const hasTunnel = this.#tunnel !== undefined;
    this.#response = undefined;
    this.#tunnel?.takeClose();
    this.#body?.fail(new Error('the client broke off'));
    response?.closed(hasTunnel && !this.socket.errored);
  }
}
