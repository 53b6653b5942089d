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

/** Collects the first bytes of a connection until they hold a whole ClientHello, in however many records and segments. */
export class ClientHelloReader {
  #bytes: Buffer = Buffer.alloc(0);
  /** Fewer bytes than this say nothing new. */
  #needed = RECORD_HEAD_BYTES;

  /** Is everything taken so far. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  /** @see RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3 */
  take(piece: Buffer): ClientHello {
    this.#bytes = this.#bytes.length === 0 ? piece : Buffer.concat([this.#bytes, piece]);
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

  /** Joins the pieces of the message; undefined while some are missing. A hello may be cut anywhere: CVE-2026-32305. */
  #join(): Buffer | undefined {
    const bytes = this.#bytes;
    const pieces: Buffer[] = [];
    let joined = 0;
    let at = 0;
    for (;;) {
      this.#needed = at + RECORD_HEAD_BYTES;
      if (bytes.length < this.#needed) return undefined;
      const length = bytes.readUInt16BE(at + 3);
      if (bytes[at] !== HANDSHAKE_RECORD || bytes[at + 1] !== 3 || length === 0 || length > MAX_RECORD_BYTES) {
        throw new RangeError('not a handshake record');
      }
      this.#needed += length;
      if (bytes.length < this.#needed) return undefined;
      pieces.push(bytes.subarray(at + RECORD_HEAD_BYTES, this.#needed));
      joined += length;
      at = this.#needed;
      if (joined < MESSAGE_HEAD_BYTES) continue;
      const message = pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces);
      if (message[0] !== CLIENT_HELLO) throw new RangeError('not a ClientHello');
      const size = MESSAGE_HEAD_BYTES + message.readUIntBE(1, 3);
      if (size > MAX_HELLO_BYTES) throw new RangeError('too large');
      if (joined >= size) return message.subarray(MESSAGE_HEAD_BYTES, size);
    }
  }
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
