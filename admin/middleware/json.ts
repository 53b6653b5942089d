// Reads JSON strictly: what two readers could read differently is refused, and nothing a client sends can block or crash.
// Must not know what the body means.
import { createSlicer } from '../../gateway/core/slicer.ts';
import { AdminError } from '../errors.ts';

/** Deepest nesting of arrays and objects. */
export const MAX_DEPTH = 64;

/** Most members of one object. Keys that collide in a hash table cost quadratic time, so their number is bounded. */
export const MAX_MEMBERS = 1000;

const TOKENS_PER_YIELD = 2048;
const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const LITERALS: readonly (readonly [string, unknown])[] = [
  ['true', true],
  ['false', false],
  ['null', null],
];
const LONE_SURROGATE = /\p{Surrogate}/u;
const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;

interface Frame {
  readonly isArray: boolean;
  readonly close: number;
  readonly value: unknown[] | Record<string, unknown>;
  key: string;
  size: number;
}

/**
 * Reads a JSON text in slices of a few milliseconds. Refused: invalid UTF-8, a byte order mark, duplicate keys, keys that reach
 * a prototype, lone surrogates, NUL, numbers that a double cannot hold, nesting past 64, more than 1000 members of an object.
 *
 * @throws BODY_MALFORMED with line and column, and the pointer of the value at fault.
 * @see RFC 8259
 */
export async function readJson(bytes: Uint8Array): Promise<unknown> {
  const slicer = createSlicer();
  const reading = new JsonReader(decode(bytes)).read();
  for (;;) {
    const step = reading.next();
    if (step.done) return step.value;
    await slicer.step();
  }
}

function decode(bytes: Uint8Array): string {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
    throw new AdminError('BODY_MALFORMED', 'The body starts with a byte order mark; send plain UTF-8.');
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new AdminError('BODY_MALFORMED', 'The body is not valid UTF-8.', { cause });
  }
}

/** Walks the text with a stack of its own: nesting costs no call frames, so it cannot overflow them. */
class JsonReader {
  readonly #text: string;
  readonly #stack: Frame[] = [];
  #at = 0;
  #root: { readonly value: unknown } | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  /** Yields now and then, and returns the value. */
  *read(): Generator<undefined, unknown> {
    for (let tokens = 1; ; tokens++) {
      if (tokens % TOKENS_PER_YIELD === 0) yield;
      this.#skipSpace();
      const code = this.#text.charCodeAt(this.#at);
      if (code === OPEN_OBJECT || code === OPEN_ARRAY) {
        if (!this.#open(code)) continue;
      } else {
        this.#attach(this.#readScalar(code));
      }
      const root = this.#close();
      if (root !== undefined) return root.value;
    }
  }

  /** Opens a container; true when it is empty, so that its closing mark is next. */
  #open(code: number): boolean {
    const isArray = code === OPEN_ARRAY;
    if (this.#stack.length === MAX_DEPTH) this.#fail(`nesting deeper than ${MAX_DEPTH} levels`);
    // Code points of the closing marks lie two after the opening ones.
    const frame: Frame = { isArray, close: code + 2, value: isArray ? [] : {}, key: '', size: 0 };
    this.#stack.push(frame);
    this.#at += 1;
    this.#skipSpace();
    if (this.#text.charCodeAt(this.#at) === frame.close) return true;
    if (!isArray) this.#readKey(frame);
    return false;
  }

  /** Closes every container that ends here; gives the root when the text is over, else undefined: a value is next. */
  #close(): { readonly value: unknown } | undefined {
    for (;;) {
      this.#skipSpace();
      const frame = this.#stack.at(-1);
      if (frame === undefined) {
        if (this.#at < this.#text.length) this.#fail('expected the end of the body');
        return this.#root;
      }
      const code = this.#text.charCodeAt(this.#at);
      if (code === frame.close) {
        this.#at += 1;
        this.#stack.pop();
        this.#attach(frame.value);
      } else if (code === COMMA && frame.size > 0) {
        this.#at += 1;
        if (!frame.isArray) this.#readKey(frame);
        return undefined;
      } else {
        this.#fail(`expected ',' or '${String.fromCharCode(frame.close)}'`);
      }
    }
  }

  #attach(value: unknown): void {
    const frame = this.#stack.at(-1);
    if (frame === undefined) {
      this.#root = { value };
      return;
    }
    frame.size += 1;
    if (Array.isArray(frame.value)) frame.value.push(value);
    else frame.value[frame.key] = value;
  }

  #readKey(frame: Frame): void {
    this.#skipSpace();
    if (this.#text.charCodeAt(this.#at) !== QUOTE) this.#fail('expected a key in double quotes');
    if (frame.size === MAX_MEMBERS) this.#fail(`an object with more than ${MAX_MEMBERS} members`);
    const start = this.#at;
    const key = this.#readString();
    const isTaken = Object.hasOwn(frame.value, key);
    if (isTaken || FORBIDDEN_KEYS.has(key)) {
      this.#at = start;
      this.#fail(isTaken ? `the key ${clip(key)} is there twice` : `the key ${key} is not allowed`);
    }
    frame.key = key;
    this.#skipSpace();
    if (this.#text[this.#at] !== ':') this.#fail("expected ':'");
    this.#at += 1;
  }

  #readScalar(code: number): unknown {
    if (code === QUOTE) return this.#readString();
    for (const [word, value] of LITERALS) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length;
        return value;
      }
    }
    return this.#readNumber();
  }

  #readString(): string {
    const start = this.#at;
    let end = this.#text.indexOf('"', start + 1);
    while (end !== -1 && this.#isEscaped(end)) end = this.#text.indexOf('"', end + 1);
    if (end === -1) this.#fail('a string without its closing quote');
    // The engine's own reader knows escapes and control characters; a string alone has no structure to hide in.
    const value = this.#parseString(this.#text.slice(start, end + 1));
    if (LONE_SURROGATE.test(value)) this.#fail('a lone surrogate in a string');
    // Postgres cannot hold one, and what is written in C stops at it.
    if (value.includes('\0')) this.#fail('a NUL character in a string');
    this.#at = end + 1;
    return value;
  }

  #parseString(literal: string): string {
    try {
      return JSON.parse(literal) as string;
    } catch {
      return this.#fail('a control character or a bad escape in a string');
    }
  }

  #isEscaped(quote: number): boolean {
    let slashes = 0;
    while (this.#text.charCodeAt(quote - 1 - slashes) === BACKSLASH) slashes += 1;
    return slashes % 2 === 1;
  }

  #readNumber(): number {
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (match === null)
      return this.#fail(this.#at < this.#text.length ? 'expected a value' : 'the body ends too early');
    const [literal, fraction, exponent] = match;
    const value = Number(literal);
    const isWhole = fraction === undefined && exponent === undefined;
    const isLost = value === 0 && /[1-9]/.test(literal.replace(/[eE].*/, ''));
    if (!Number.isFinite(value) || isLost || (isWhole && !Number.isSafeInteger(value))) {
      this.#fail('a number out of range');
    }
    this.#at += literal.length;
    return value;
  }

  #skipSpace(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at += 1;
    }
  }

  #fail(message: string): never {
    const lineStart = this.#text.lastIndexOf('\n', this.#at - 1) + 1;
    let line = 1;
    for (let at = this.#text.indexOf('\n'); at !== -1 && at < lineStart; at = this.#text.indexOf('\n', at + 1))
      line += 1;
    const where = `line ${line}, column ${this.#at - lineStart + 1}`;
    const pointer = this.#stack
      .map((frame) => `/${clip(frame.isArray ? String(frame.size) : escapePointer(frame.key))}`)
      .join('');
    throw new AdminError('BODY_MALFORMED', `Not valid JSON at ${where}: ${message}.`, {
      problems: [{ pointer, message: `${where}: ${message}` }],
    });
  }
}

function escapePointer(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}

function clip(text: string): string {
  return text.length > 64 ? `${text.slice(0, 64)}...` : text;
}
