// Writes requests: head from parts, body by length or in chunks.
// Must not pass on framing from outside: it is decided here.
import type { Socket } from 'node:net';
import type { BodySink, BodySource, UpstreamRequest } from '../../core/ports.ts';
import { writeChunk, writeLastChunk } from '../message/chunk-writer.ts';
import { appendFields } from '../message/fields.ts';
import { writeLate } from '../socket/late-writes.ts';
import { toLatin1 } from '../socket/latin1.ts';
import type { MessageWriter } from '../socket/message-writer.ts';
import { WholeBody } from './whole-body.ts';

/** Largest body that leaves in one write with its head. */
const MAX_JOINED_BYTES = 16 * 1024;
/** How long a target may think about an expectation before the body is sent all the same. RFC 9110 section 10.1.1. */
const CONTINUE_MS = 1_000;

/** Hears how the sending went. */
export interface SendEvents {
  /** Says whose turn it is: the client's to send more of the body, or the target's to read what is sent. */
  onProgress(isClientsTurn: boolean): void;
  /** The last byte was handed to the system. */
  onSent(): void;
  /** The body broke off, or was not as long as it said. */
  onBodyFailed(error: Error): void;
}

/** Is a request on its way. */
export interface Sending {
  /** The target gave leave to send the body. */
  proceed(): void;
}

const NOTHING_TO_WAIT_FOR: Sending = { proceed() {} };

/** Sends a request whole, or begins to and goes on as its body comes. */
export function sendRequest(writer: MessageWriter, request: UpstreamRequest, events: SendEvents): Sending {
  const { body } = request;
  if (body === undefined) {
    // A method that expects content says that there is none; RFC 9110 section 8.6.
    const framing = EXPECTS_CONTENT.has(request.method) ? '\r\nContent-Length: 0' : '';
    sendMessage(writer, `${writeHead(request)}${framing}\r\n\r\n`);
    events.onSent();
    return NOTHING_TO_WAIT_FOR;
  }
  const isWhole = body instanceof Uint8Array;
  if (!isWhole || body.length > MAX_JOINED_BYTES) {
    return new BodySending(writer.socket, request, isWhole ? new WholeBody(body) : body, events);
  }
  sendMessage(writer, `${writeHead(request)}\r\nContent-Length: ${body.length}\r\n\r\n${toLatin1(body)}`);
  events.onSent();
  return NOTHING_TO_WAIT_FOR;
}

const EXPECTS_CONTENT = new Set(['POST', 'PUT', 'PATCH']);

function writeHead({ method, target, headers, upgrade }: UpstreamRequest): string {
  const head = appendFields(`${method} ${target} HTTP/1.1`, headers);
  return upgrade === undefined ? head : `${head}\r\nConnection: Upgrade\r\nUpgrade: ${upgrade}`;
}

function sendMessage(writer: MessageWriter, message: string): void {
  if (writer.isFree) writer.write(message);
  else writeLate(writer.socket, message);
}

/** Sends a body as it comes, or as it is taken. */
class BodySending implements Sending, BodySink {
  readonly #socket: Socket;
  readonly #body: BodySource;
  readonly #events: SendEvents;
  readonly #onDrain = (): void => this.#resume();
  #sent = 0;
  #timer: NodeJS.Timeout | undefined;
  #hasBegun = false;

  constructor(socket: Socket, request: UpstreamRequest, body: BodySource, events: SendEvents) {
    this.#socket = socket;
    this.#body = body;
    this.#events = events;
    const framing = body.length === undefined ? '\r\nTransfer-Encoding: chunked' : `\r\nContent-Length: ${body.length}`;
    const expect = body.expectsContinue ? '\r\nExpect: 100-continue' : '';
    writeLate(socket, `${writeHead(request)}${framing}${expect}\r\n\r\n`);
    if (!body.expectsContinue) {
      this.proceed();
      return;
    }
    this.#timer = setTimeout(() => this.proceed(), CONTINUE_MS);
    this.#timer.unref();
  }

  proceed(): void {
    clearTimeout(this.#timer);
    if (this.#hasBegun || !this.#socket.writable) return;
    this.#hasBegun = true;
    this.#socket.on('drain', this.#onDrain);
    this.#events.onProgress(true);
    this.#body.start(this);
  }

  write(chunk: Uint8Array): boolean {
    const socket = this.#socket;
    // Nobody takes it any more: the answer came already, or is looked for.
    if (!socket.writable || chunk.length === 0) return true;
    this.#sent += chunk.length;
    const mayGoOn = this.#body.length === undefined ? writeChunk(socket, chunk) : socket.write(chunk);
    this.#events.onProgress(mayGoOn);
    return mayGoOn;
  }

  end(trailers?: readonly string[]): void {
    const { length } = this.#body;
    this.#socket.off('drain', this.#onDrain);
    if (!this.#socket.writable) return;
    if (length === undefined) this.#socket.write(writeLastChunk(trailers), 'latin1');
    // Fewer bytes than announced would leave the target waiting, and what comes next would be taken for them.
    if (length !== undefined && this.#sent !== length) {
      this.#events.onBodyFailed(new Error('the body is not as long as it said'));
    } else this.#events.onSent();
  }

  fail(error: Error): void {
    this.#socket.off('drain', this.#onDrain);
    this.#events.onBodyFailed(error);
  }

  #resume(): void {
    this.#events.onProgress(true);
    this.#body.resume();
  }
}
