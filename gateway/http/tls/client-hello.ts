// Reads from a client's first bytes which name it asks for, before TLS begins: what follows depends on it.
// Must not answer, and must not be relied on alone: the name is compared with what OpenSSL has read.

/**
 * Is what the bytes so far say. `plain`: this is no TLS, such as HTTP in clear. `name` is as sent; undefined = none.
 */
export type ClientHello =
  | { readonly state: 'more' }
  | { readonly state: 'bad' }
  | { readonly state: 'plain' }
  | { readonly state: 'done'; readonly name: string | undefined };

/** Largest ClientHello, records included. Those of browsers with post-quantum keys have about 2 KiB. */
const MAX_HELLO_BYTES = 16 * 1024;

const HANDSHAKE_RECORD = 0x16;
const CLIENT_HELLO = 0x01;
const SERVER_NAME = 0x0000;
const HOST_NAME = 0x00;
const MAX_RECORD_BYTES = 16_384;
const RECORD_HEAD_BYTES = 5;
const MESSAGE_HEAD_BYTES = 4;

const NAME = /^[A-Za-z0-9_.-]{1,254}$/;

/**
 * Collects the first bytes of a connection until they hold a whole ClientHello, in however many records and segments. Each byte
 * is looked at once: begun anew with every segment, 16 KiB in records of one byte would cost seconds.
 */
export class ClientHelloReader {
  #bytes: Buffer = Buffer.alloc(0);
  /** What `#bytes` is a part of, with room for more; undefined while one piece is all there is. */
  #store: Buffer | undefined;
  /** Fewer bytes than this say nothing new. */
  #needed = RECORD_HEAD_BYTES;
  /** Where the next record begins. */
  #at = 0;
  /** Start and end of what each record so far holds of the message. */
  readonly #parts: (readonly [number, number])[] = [];
  #joined = 0;
  /** Size of the message with its head; undefined = not read yet. */
  #size: number | undefined;

  /** Is everything taken so far. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  /** @see RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3 */
  take(piece: Buffer): ClientHello {
    this.#append(piece);
    if (this.#bytes[0] !== HANDSHAKE_RECORD) return { state: 'plain' };
    if (this.#bytes.length < this.#needed) return { state: 'more' };
    try {
      const message = this.#join();
      if (message) return { state: 'done', name: readName(message) };
      return this.#needed > MAX_HELLO_BYTES ? { state: 'bad' } : { state: 'more' };
    } catch (error) {
      if (error instanceof RangeError) return { state: 'bad' };
      throw error;
    }
  }

  #append(piece: Buffer): void {
    const used = this.#bytes.length;
    if (used === 0) {
      this.#bytes = piece;
      return;
    }
    const length = used + piece.length;
    if (!this.#store || this.#store.length < length) {
      this.#store = Buffer.allocUnsafe(2 * length);
      this.#bytes.copy(this.#store);
    }
    piece.copy(this.#store, used);
    this.#bytes = this.#store.subarray(0, length);
  }

  /** Joins the parts of the message; undefined while some are missing. A hello may be cut anywhere: CVE-2026-32305. */
  #join(): Buffer | undefined {
    const bytes = this.#bytes;
    while (this.#size === undefined || this.#joined < this.#size) {
      const start = this.#at + RECORD_HEAD_BYTES;
      this.#needed = start;
      if (bytes.length < this.#needed) return undefined;
      const length = bytes.readUInt16BE(start - 2);
      if (
        bytes[this.#at] !== HANDSHAKE_RECORD ||
        bytes[this.#at + 1] !== 3 ||
        length === 0 ||
        length > MAX_RECORD_BYTES
      ) {
        throw new RangeError('not a handshake record');
      }
      this.#needed += length;
      if (bytes.length < this.#needed) return undefined;
      this.#parts.push([start, this.#needed]);
      this.#joined += length;
      this.#at = this.#needed;
      if (this.#size === undefined && this.#joined >= MESSAGE_HEAD_BYTES) this.#size = readSize(this.#message());
    }
    return this.#message().subarray(MESSAGE_HEAD_BYTES, this.#size);
  }

  #message(): Buffer {
    return Buffer.concat(this.#parts.map(([start, end]) => this.#bytes.subarray(start, end)));
  }
}

function readSize(message: Buffer): number {
  if (message[0] !== CLIENT_HELLO) throw new RangeError('not a ClientHello');
  const size = MESSAGE_HEAD_BYTES + message.readUIntBE(1, 3);
  if (size > MAX_HELLO_BYTES) throw new RangeError('too large');
  return size;
}

/** Walks over a message; reading past its end throws RangeError. */
class Cursor {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  number(size: 1 | 2): number {
    return this.fixed(size).readUIntBE(0, size);
  }

  fixed(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError('cut short');
    const part = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return part;
  }

  /** Reads a part whose length comes before it. */
  vector(size: 1 | 2): Buffer {
    return this.fixed(this.number(size));
  }
}

function readName(body: Buffer): string | undefined {
  const hello = new Cursor(body);
  // Version and random, session id, cipher suites, compression methods.
  hello.fixed(34);
  hello.vector(1);
  hello.vector(2);
  hello.vector(1);
  if (hello.isAtEnd) return undefined;
  const extensions = new Cursor(hello.vector(2));
  if (!hello.isAtEnd) throw new RangeError('something behind the extensions');
  let name: string | undefined;
  while (!extensions.isAtEnd) {
    const type = extensions.number(2);
    const content = extensions.vector(2);
    if (type !== SERVER_NAME) continue;
    // Two of them could be read as either.
    if (name !== undefined) throw new RangeError('two server names');
    name = readServerName(content);
  }
  return name;
}

function readServerName(content: Buffer): string {
  const outer = new Cursor(content);
  const list = new Cursor(outer.vector(2));
  if (!outer.isAtEnd || list.number(1) !== HOST_NAME) throw new RangeError('not a host name');
  const name = list.vector(2).toString('latin1');
  if (!list.isAtEnd || !NAME.test(name)) throw new RangeError('not a host name');
  return name;
}
