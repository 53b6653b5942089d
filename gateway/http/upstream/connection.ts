// One connection to a target: carries one request at a time, and says when it can carry another.
// Must not choose targets or try again.
import type { LookupFunction, Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { TargetAddress } from '../../core/ports.ts';
import { MessageWriter } from '../socket/message-writer.ts';
import { checkEnd } from '../socket/orderly-end.ts';
import { connectReading, type LentReader } from '../socket/shared-reads.ts';
import type { SocketTunnel } from '../socket/socket-tunnel.ts';
import type { Call } from './call.ts';
import { hearLastWords } from './last-words.ts';
import type { Pooled } from './pool.ts';
import { openSecure } from './secure-socket.ts';

/** How long an idle connection is kept, unless the target says less. */
const KEEP_ALIVE_MS = 30_000;
/** How long a connection is used at all, so that load spreads again over what has come up behind an address. */
const MAX_AGE_MS = 600_000;
/** A connection is not used in the last moments before its target closes it: the request would meet the closing. */
const KEEP_ALIVE_MARGIN_MS = 1_000;

/** Hears what happens to a connection. */
export interface ConnectionEvents {
  onIdle(connection: Connection): void;
  /** The request that it carries has come whole from its client. */
  onSent(connection: Connection): void;
  /** It carries a tunnel from here on, and no request any more. */
  onHanded(connection: Connection): void;
  onClosed(connection: Connection): void;
}

/** Is a connection, opening or open. */
export class Connection implements Pooled {
  readonly socket: Socket;
  readonly #writer: MessageWriter;
  readonly #events: ConnectionEvents;
  /** Requests carried whole. */
  #served = 0;
  #call: Call | undefined;
  #tunnel: SocketTunnel | undefined;
  #isOpen = false;
  #isClosed = false;
  #idleSinceMs = 0;
  #keptMs = KEEP_ALIVE_MS;
  /** When it has become too old. */
  #retiresMs = performance.now() + MAX_AGE_MS;

  constructor(address: TargetAddress, lookup: LookupFunction, events: ConnectionEvents) {
    this.#events = events;
    this.socket = open(address, lookup, (bytes) => this.#read(bytes));
    this.#writer = new MessageWriter(this.socket);
    hearLastWords(this.socket);
    this.socket.once(address.protocol === 'https' ? 'secureConnect' : 'connect', () => this.#opened());
    this.socket.on('end', () => this.#ended());
    this.socket.on('error', (error) => this.#fail(error));
    this.socket.on('close', () => this.#fail(new Error('the connection closed')));
  }

  get isUsable(): boolean {
    const nowMs = performance.now();
    const isYoung = nowMs < this.#retiresMs && nowMs - this.#idleSinceMs < this.#keptMs;
    return isYoung && !this.#isClosed && this.socket.writable;
  }

  get remoteAddress(): string | undefined {
    return this.socket.remoteAddress;
  }

  /** Says whether an earlier request went over it: a failure may then only mean that it was closed meanwhile. */
  get wasReused(): boolean {
    return this.#served > 0;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Carries a call; it is sent as soon as the connection is open. */
  carry(call: Call): void {
    this.#call = call;
    if (this.#isOpen) call.onOpen(this.#writer);
  }

  /** Hears that the call has sent its request whole. */
  sent(): void {
    this.#events.onSent(this);
  }

  /** Hands everything that comes from here on to a tunnel; the call goes on to bound its time. */
  hand(tunnel: SocketTunnel): void {
    this.#tunnel = tunnel;
    this.#events.onHanded(this);
  }

  /** Ends the call's use of the connection after a whole response. */
  release(isReusable: boolean, keepAliveSeconds: number | undefined): void {
    this.#call = undefined;
    // What is still to be written would stand before the next request, or be left out.
    const isClear = this.socket.writableLength === 0 && !this.#writer.isBusy;
    if (!isReusable || !isClear || this.#isClosed || this.#retiresMs === 0) {
      this.close();
      return;
    }
    this.#served++;
    this.#idleSinceMs = performance.now();
    if (keepAliveSeconds !== undefined) {
      this.#keptMs = Math.min(KEEP_ALIVE_MS, keepAliveSeconds * 1000 - KEEP_ALIVE_MARGIN_MS);
    }
    this.#events.onIdle(this);
  }

  retire(): void {
    this.#retiresMs = 0;
  }

  close(): void {
    this.#call = undefined;
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.socket.destroy();
    this.#events.onClosed(this);
  }

  #opened(): void {
    this.#isOpen = true;
    this.#call?.onOpen(this.#writer);
  }

  #ended(): void {
    if (this.#tunnel) {
      this.#tunnel.takeEnd();
      return;
    }
    if (!this.#call) {
      this.close();
      return;
    }
    if (this.#isHolding) {
      this.#giveBack(new Error('the target closed the idle connection'));
      return;
    }
    checkEnd(this.socket, (reset) => {
      if (!reset) this.#call?.onPeerEnd();
      // A target that closes its half says no more: what it owed will not come.
      this.#fail(reset ?? new Error('the target closed the connection'));
    });
  }

  #read(bytes: Buffer): void {
    if (this.#tunnel) {
      this.#tunnel.take(bytes);
      return;
    }
    // What nobody asked for would be taken for the answer to the next request: CVE-2026-48931, CVE-2026-6733. That is so too
    // where the next request has come, but waits for the end of the turn.
    if (!this.#call) this.close();
    else if (this.#isHolding) this.#giveBack(new Error('the target answered before it was asked'));
    else this.#call.onBytes(bytes);
  }

  /** No byte of the request has left. */
  get #isHolding(): boolean {
    return this.#writer.isHolding || this.socket.writableCorked > 0;
  }

  #giveBack(cause: Error): void {
    const call = this.#call;
    this.close();
    call?.onUnsent(cause);
  }

  #fail(error: Error): void {
    const call = this.#call;
    this.close();
    this.#tunnel?.takeClose();
    call?.onConnectionFailed(error);
  }
}

function open(address: TargetAddress, lookup: LookupFunction, read: LentReader): Socket {
  const { protocol, host, port } = address;
  if (protocol === 'http') return connectReading({ host, port, lookup, noDelay: true, allowHalfOpen: true }, read);
  const socket = openSecure(address, lookup, 'http/1.1');
  socket.on('data', read);
  return socket;
}
