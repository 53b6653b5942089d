// Writes one response: head from parts, body by length, in chunks, or until the connection closes.
// Must not decide what is answered.
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { OutgoingResponse, Tunnel } from '../../core/ports.ts';
import { writeChunk, writeLastChunk } from '../message/chunk-writer.ts';
import { appendField, appendFields, isNamed } from '../message/fields.ts';
import { httpDate } from '../message/http-date.ts';
import { breakSocket } from '../socket/break-socket.ts';
import { writeHeadLate, writeLate } from '../socket/late-writes.ts';
import { toLatin1 } from '../socket/latin1.ts';
import type { MessageWriter } from '../socket/message-writer.ts';
import type { ReadAhead } from './read-ahead.ts';
import type { RequestHead } from './request-head.ts';

/** Largest body that is joined with its head. */
const MAX_JOINED_BYTES = 16 * 1024;

/** Is what a response needs of its connection. */
export interface ResponseConnection {
  readonly socket: Socket;
  /** No further request is wanted on this connection. */
  readonly isClosing: boolean;
  /** Has come behind the request, and waits for the end of this response. */
  readonly ahead: ReadAhead;
  readonly writer: MessageWriter;
  /** Runs when the last byte was handed to the system; `writer` calls it by itself. */
  readonly written: (error?: Error | null) => void;
  /** Bytes wait for the client to take them. */
  onStalled(): void;
  /** The last bytes of the response wait behind others, and `written` will say when they are gone. */
  onQueued(): void;
  switchProtocols(): Tunnel;
}

/** Says where the body ends. */
type BodyFraming = 'none' | 'length' | 'chunked' | 'until-close';

const STATUS_LINES: string[] = [];

function statusLine(status: number): string {
  STATUS_LINES[status] ??= `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`;
  return STATUS_LINES[status];
}

function hasUpgrade(headers: readonly string[]): boolean {
  return headers.some((name, at) => at % 2 === 0 && isNamed(name, 'upgrade'));
}

/** Is the response to one request. */
export class ServerResponse implements OutgoingResponse {
  /** Says that the connection ends with this response. */
  isLast: boolean;
  hasHead = false;
  readonly #connection: ResponseConnection;
  readonly #request: RequestHead;
  #head = '';
  #framing: BodyFraming = 'none';
  #length: number | undefined;
  /** Bytes of the body that are still to be written, when there is a length. */
  #left = 0;
  #hasEnded = false;
  #whenClosed: ((isComplete: boolean) => void) | undefined;
  #whenDrained: (() => void) | undefined;

  constructor(connection: ResponseConnection, request: RequestHead) {
    this.#connection = connection;
    this.#request = request;
    this.isLast = !request.isKeptAlive;
  }

  writeInformational(status: number, headers: readonly string[]): void {
    const { socket } = this.#connection;
    // A client that does not read would make us keep them all.
    if (this.#request.version === '1.0' || this.hasHead || socket.writableNeedDrain || !socket.writable) return;
    socket.write(`${appendFields(statusLine(status), headers)}\r\n\r\n`, 'latin1');
  }

  writeHead(status: number, headers: readonly string[], bodyLength: number | undefined): void {
    this.hasHead = true;
    this.#length = bodyLength;
    this.#left = bodyLength ?? 0;
    this.#framing = this.#findFraming(status, bodyLength);
    if (this.#framing === 'until-close' || this.#connection.isClosing) this.isLast = true;
    let head = statusLine(status);
    let hasDate = false;
    for (let at = 0; at < headers.length; at += 2) {
      const name = headers[at] ?? '';
      if (isNamed(name, 'date')) hasDate = true;
      head = appendField(head, name, headers[at + 1] ?? '');
    }
    // RFC 9110 section 6.6.1.
    if (!hasDate) head += `\r\nDate: ${httpDate()}`;
    if (this.#framing === 'chunked') head += '\r\nTransfer-Encoding: chunked';
    // 204 must not have a length; the one of 304 is that of the body which is not sent. RFC 9110 section 8.6.
    else if (bodyLength !== undefined && status !== 204 && status !== 304) head += `\r\nContent-Length: ${bodyLength}`;
    if (status === 426 && hasUpgrade(headers)) head += '\r\nConnection: Upgrade';
    if (this.isLast) head += '\r\nConnection: close';
    else if (this.#request.version === '1.0') head += '\r\nConnection: keep-alive';
    this.#head = `${head}\r\n\r\n`;
    // A head whose body has not come by the end of this turn must not wait for it: that may take as long as it likes.
    if (bodyLength !== 0) writeHeadLate(this);
  }

  write(chunk: Uint8Array): boolean {
    const { socket } = this.#connection;
    if (this.#framing === 'none' || chunk.length === 0 || !socket.writable) return true;
    this.#left -= chunk.length;
    const head = this.#head;
    this.#head = '';
    if (head !== '' && chunk.length === this.#length && chunk.length <= MAX_JOINED_BYTES) {
      // A small body that came in one piece leaves with the head as one string: one write instead of two.
      this.#head = head + toLatin1(chunk);
      return true;
    }
    if (head !== '') {
      socket.cork();
      socket.write(head, 'latin1');
    }
    // The stream of the socket keeps it until the system has taken it.
    const kept = Buffer.from(chunk);
    const mayGoOn = this.#framing === 'chunked' ? writeChunk(socket, kept) : socket.write(kept);
    if (head !== '') socket.uncork();
    if (!mayGoOn) this.#connection.onStalled();
    return mayGoOn;
  }

  end(trailers?: readonly string[]): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    // More or less than was said: what follows would be read as part of this body, or the other way round.
    if (this.#framing === 'length' && this.#left !== 0) {
      this.abort();
      return;
    }
    const { socket, written } = this.#connection;
    let rest = this.#head;
    this.#head = '';
    if (this.#framing === 'chunked') {
      rest += writeLastChunk(this.#request.facts.acceptsTrailers ? trailers : undefined);
    }
    if (rest === '' && socket.writableLength === 0) process.nextTick(written);
    else this.#writeLast(rest);
  }

  #writeLast(rest: string): void {
    const { socket, writer, written, ahead } = this.#connection;
    if (ahead.isEmpty && writer.isFree) {
      writer.write(rest);
      return;
    }
    // Also when nothing is left to write: the callback comes behind what was written before.
    if (ahead.isEmpty) writeLate(socket, rest, written);
    else socket.write(rest, 'latin1', written);
    this.#connection.onQueued();
  }

  switchProtocols(headers: readonly string[]): Tunnel {
    this.hasHead = true;
    const { socket } = this.#connection;
    socket.write(`${appendFields(statusLine(101), headers)}\r\nConnection: Upgrade\r\n\r\n`, 'latin1');
    return this.#connection.switchProtocols();
  }

  abort(): void {
    breakSocket(this.#connection.socket);
  }

  closeAfter(): void {
    this.isLast = true;
  }

  onDrain(callback: () => void): void {
    this.#whenDrained = callback;
  }

  onClose(callback: (isComplete: boolean) => void): void {
    this.#whenClosed = callback;
  }

  goOn(): void {
    if (this.#hasEnded) this.#connection.written();
  }

  /** Hears that the client has taken what waited for it. */
  drained(): void {
    const callback = this.#whenDrained;
    this.#whenDrained = undefined;
    callback?.();
  }

  /** Tells that the response is over: handed to the system whole, or the client left. */
  closed(isComplete: boolean): void {
    const callback = this.#whenClosed;
    this.#whenClosed = undefined;
    callback?.(isComplete);
  }

  /** Sends the head alone, unless the body has begun. */
  flushHead(): void {
    if (this.#head === '' || this.#hasEnded || !this.#connection.socket.writable) return;
    this.#connection.socket.write(this.#head, 'latin1');
    this.#head = '';
  }

  #findFraming(status: number, bodyLength: number | undefined): BodyFraming {
    if (this.#request.method === 'HEAD' || status === 204 || status === 304) return 'none';
    if (bodyLength !== undefined) return 'length';
    return this.#request.version === '1.0' ? 'until-close' : 'chunked';
  }
}
