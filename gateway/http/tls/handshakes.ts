// Brings connections from their first byte to where HTTP begins: reads the name asked for, chooses what is shown, bounds it all.
// Must not speak HTTP.
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { TlsFacts } from '../../core/ports.ts';
import { buildPeer } from '../../core/tls/client-certificate.ts';
import type { Deadlines, Timed } from '../message/deadlines.ts';
import { type ClientHello, ClientHelloReader } from './client-hello.ts';
import type { SecureHost, SecureHosts } from './secure-hosts.ts';

/** Says how a handshake ended; `dropped` = too many were under way. */
export type HandshakeResult = 'ok' | 'failed' | 'aborted' | 'timeout' | 'no-certificate' | 'not-tls' | 'dropped';

/** Is what handshakes need. */
export interface HandshakesOptions {
  readonly hosts: Pick<SecureHosts, 'find'>;
  readonly deadlines: Deadlines;
  /** From the first byte to the last of the handshake, in milliseconds; 10 000 when absent. */
  readonly timeoutMs?: number;
  /** Handshakes under way at once; 2 000 when absent. */
  readonly maxPending?: number;
  count(result: HandshakeResult): void;
}

/** Is what became of a connection. */
export interface HandshakeEvents {
  onSecure(socket: TLSSocket, facts: TlsFacts): void;
  /** The client speaks something else, such as HTTP in clear; the socket is still whole. */
  onPlain(): void;
}

const TIMEOUT_MS = 10_000;
const MAX_PENDING = 2_000;

/** Fatal alert `unrecognized_name`, as a record of its own. @see RFC 6066 section 3 */
const UNRECOGNIZED_NAME = Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 112]);
/** Fatal alert `decode_error`. @see RFC 8446 section 6.2 */
const DECODE_ERROR = Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 50]);

/** Owns the connections whose handshake is under way. */
export class Handshakes {
  readonly #options: HandshakesOptions;
  /** In the order in which they began. Node gives no way from a TLS socket to the one below it but its addresses. */
  readonly #pending = new Map<string, Pending>();

  constructor(options: HandshakesOptions) {
    this.#options = options;
  }

  /** Takes a connection over from its first byte. */
  begin(socket: Socket, events: HandshakeEvents): void {
    const { deadlines, timeoutMs = TIMEOUT_MS, maxPending = MAX_PENDING } = this.#options;
    const key = keyOf(socket);
    // Whoever has been at it for longest is the likeliest never to end.
    const [oldest] = this.#pending.size >= maxPending ? this.#pending.values() : [];
    oldest?.end('dropped');
    const pending: Pending = new Pending(socket, events, performance.now() + timeoutMs, {
      find: (name) => this.#options.hosts.find(name),
      onEnd: (result) => {
        deadlines.forget(pending);
        if (this.#pending.get(key) === pending) this.#pending.delete(key);
        this.#options.count(result);
      },
    });
    this.#pending.set(key, pending);
    deadlines.watch(pending);
  }

  /** Takes a connection whose handshake is done. */
  takeSecure(socket: TLSSocket): void {
    const pending = this.#pending.get(keyOf(socket));
    if (pending) pending.takeSecure(socket);
    else socket.destroy();
  }

  /** Takes a connection whose handshake failed. */
  takeFailure(error: NodeJS.ErrnoException, socket: TLSSocket): void {
    this.#pending.get(keyOf(socket))?.end(error.code === 'ECONNRESET' ? 'aborted' : 'failed');
    socket.destroy();
  }

  /** Breaks off every handshake. */
  close(): void {
    for (const pending of [...this.#pending.values()]) pending.end('aborted');
  }
}

function keyOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}

/** Is what one handshake needs of all. */
interface PendingParts {
  find(name: string | undefined): SecureHost | undefined;
  onEnd(result: HandshakeResult): void;
}

/** Is one handshake under way. */
class Pending implements Timed {
  readonly deadlineMs: number;
  slot = -1;
  readonly #socket: Socket;
  readonly #events: HandshakeEvents;
  readonly #parts: PendingParts;
  readonly #reader = new ClientHelloReader();
  readonly #take = (bytes: Buffer): void => this.#read(bytes);
  readonly #closed = (): void => this.end('aborted');
  #name: string | undefined;
  #host: SecureHost | undefined;
  #isOver = false;

  constructor(socket: Socket, events: HandshakeEvents, deadlineMs: number, parts: PendingParts) {
    this.#socket = socket;
    this.#events = events;
    this.deadlineMs = deadlineMs;
    this.#parts = parts;
    socket.on('data', this.#take);
    socket.once('end', this.#closed);
    socket.once('close', this.#closed);
    socket.on('error', ignore);
  }

  expire(): void {
    this.end('timeout');
  }

  /** Ends it without a secure connection. */
  end(result: HandshakeResult): void {
    if (this.#finish(result)) this.#socket.destroy();
  }

  takeSecure(secure: TLSSocket): void {
    const host = this.#host;
    if (!host || !this.#agrees(secure)) {
      this.end('failed');
      return;
    }
    this.#finish('ok');
    const leaf = host.policy.id === '' ? undefined : secure.getPeerX509Certificate();
    this.#events.onSecure(secure, {
      serverName: this.#name?.toLowerCase().replace(/\.$/, ''),
      policyId: host.policy.id,
      peer: leaf && buildPeer(leaf, secure.authorized),
    });
  }

  /**
   * Had we read another name than OpenSSL, what was chosen by it would be wrong. Of a session resumed in TLS 1.2 OpenSSL tells
   * no name; only hosts that ask for no certificate give tickets.
   */
  #agrees(secure: TLSSocket): boolean {
    const name = secure.servername || undefined;
    return (
      name === this.#name || (name === undefined && secure.isSessionReused() && secure.getProtocol() === 'TLSv1.2')
    );
  }

  #read(bytes: Buffer): void {
    const hello = this.#reader.take(bytes);
    if (hello.state !== 'more') this.#choose(hello);
  }

  #choose(hello: Exclude<ClientHello, { readonly state: 'more' }>): void {
    const socket = this.#socket;
    if (hello.state === 'bad') {
      this.#refuse(DECODE_ERROR, 'failed');
      return;
    }
    if (hello.state === 'plain') {
      this.#finish('not-tls');
      this.#events.onPlain();
      return;
    }
    this.#name = hello.name;
    this.#host = this.#parts.find(hello.name);
    if (!this.#host) {
      this.#refuse(UNRECOGNIZED_NAME, 'no-certificate');
      return;
    }
    socket.off('data', this.#take);
    socket.off('end', this.#closed);
    socket.pause();
    socket.unshift(this.#reader.bytes);
    this.#host.server.emit('connection', socket);
  }

  #refuse(alert: Buffer, result: HandshakeResult): void {
    if (!this.#finish(result)) return;
    this.#socket.once('finish', () => this.#socket.destroy());
    this.#socket.end(alert);
  }

  #finish(result: HandshakeResult): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    const socket = this.#socket;
    socket.off('data', this.#take);
    socket.off('end', this.#closed);
    socket.off('close', this.#closed);
    this.#parts.onEnd(result);
    return true;
  }
}

function ignore(): void {}
