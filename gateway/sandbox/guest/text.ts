// UTF-8 for guests: an isolate has ECMAScript and nothing else.
// Must not import anything, nor replace what is there.

const FAULT = 'The encoded data was not valid for encoding utf-8';

/** Encodes text; half a surrogate pair becomes U+FFFD. */
export function encodeUtf8(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length * 3);
  let size = 0;
  for (let at = 0; at < text.length; at++) {
    const found = text.codePointAt(at) ?? 0;
    const code = found >= 0xd800 && found < 0xe000 ? 0xfffd : found;
    if (code < 0x80) {
      bytes[size++] = code;
      continue;
    }
    if (code < 0x800) bytes[size++] = 0xc0 | (code >> 6);
    else {
      if (code < 0x10000) bytes[size++] = 0xe0 | (code >> 12);
      else {
        bytes[size++] = 0xf0 | (code >> 18);
        bytes[size++] = 0x80 | ((code >> 12) & 0x3f);
        at++;
      }
      bytes[size++] = 0x80 | ((code >> 6) & 0x3f);
    }
    bytes[size++] = 0x80 | (code & 0x3f);
  }
  return bytes.slice(0, size);
}

/** Decodes bytes. @throws TypeError on a fault when `isFatal`, else U+FFFD stands for it. */
export function decodeUtf8(bytes: Uint8Array, isFatal = false): string {
  const parts: string[] = [];
  let codes: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const [code, size] = readCode(bytes, at);
    if (code === -1 && isFatal) throw new TypeError(FAULT);
    codes.push(code === -1 ? 0xfffd : code);
    at += size;
    // As many as one call can take.
    if (codes.length === 8_192) {
      parts.push(String.fromCodePoint(...codes));
      codes = [];
    }
  }
  return parts.join('') + String.fromCodePoint(...codes);
}

/** Gives the code point at `at` and how many bytes it takes; -1 = a fault. */
function readCode(bytes: Uint8Array, at: number): readonly [code: number, size: number] {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return [first, 1];
  const more =
    first >= 0xc2 && first < 0xe0 ? 1 : first >= 0xe0 && first < 0xf0 ? 2 : first >= 0xf0 && first < 0xf5 ? 3 : 0;
  if (more === 0) return [-1, 1];
  let code = first & (0x3f >> more);
  for (let next = 1; next <= more; next++) {
    const byte = bytes[at + next] ?? 0;
    if (byte < 0x80 || byte > 0xbf || (next === 1 && !isSecond(first, byte))) return [-1, next];
    code = (code << 6) | (byte & 0x3f);
  }
  return [code, more + 1];
}

// Overlong forms, surrogates, and what lies beyond Unicode. The Unicode Standard, table 3-7.
function isSecond(first: number, byte: number): boolean {
  if (first === 0xe0) return byte >= 0xa0;
  if (first === 0xed) return byte < 0xa0;
  if (first === 0xf0) return byte >= 0x90;
  return first !== 0xf4 || byte < 0x90;
}

class Encoder {
  readonly encoding = 'utf-8';
  encode(text = ''): Uint8Array {
    return encodeUtf8(String(text));
  }
}

class Decoder {
  readonly encoding = 'utf-8';
  readonly fatal: boolean;
  readonly ignoreBOM: boolean;

  constructor(label = 'utf-8', options: { readonly fatal?: boolean; readonly ignoreBOM?: boolean } = {}) {
    if (!/^utf-?8$/i.test(label)) throw new RangeError(`The "${label}" encoding is not supported`);
    this.fatal = options.fatal === true;
    this.ignoreBOM = options.ignoreBOM === true;
  }

  decode(bytes: Uint8Array | ArrayBuffer = new Uint8Array(0)): string {
    const text = decodeUtf8(bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes, this.fatal);
    return this.ignoreBOM || text.charCodeAt(0) !== 0xfeff ? text : text.slice(1);
  }
}

const scope: Record<string, unknown> = globalThis;
scope['TextEncoder'] ??= Encoder;
scope['TextDecoder'] ??= Decoder;
