// Reads header and trailer lines, strictly: a name, a colon, a value, CRLF, and nothing else. Writes those that were checked.
// Must not interpret fields: framing.ts does, and the core.
import type { ByteText } from './byte-text.ts';
import { addToHash, findName, lineStartOf, NO_HASH } from './known-names.ts';
import { MalformedMessage } from './malformed.ts';

const CR = 0x0d;
const LF = 0x0a;
const COLON = 0x3a;
const SPACE = 0x20;
const TAB = 0x09;

const NAME = 1;
const VALUE = 2;

/** Says of each byte whether it may stand in a field name, in a field value, or in neither. RFC 9110 sections 5.1, 5.5. */
const KIND_OF_BYTE: Uint8Array = buildKinds();

function buildKinds(): Uint8Array {
  const kinds = new Uint8Array(256);
  for (let code = 0x20; code < 0x100; code++) if (code !== 0x7f) kinds[code] = VALUE;
  kinds[TAB] = VALUE;
  for (const char of "!#$%&'*+-.^_`|~") kinds[char.charCodeAt(0)] = NAME | VALUE;
  for (let code = 0x30; code <= 0x39; code++) kinds[code] = NAME | VALUE;
  for (let code = 0x41; code <= 0x5a; code++) kinds[code] = kinds[code + 0x20] = NAME | VALUE;
  return kinds;
}

/**
 * Reads lines from `from` to the end of a text, each ended by CRLF but the last, onto `fields`: name, value, name, value ...
 * without the blanks around values. One pass over the bytes: this runs for every message.
 * @throws MalformedMessage on a folded line, an empty or malformed name, a blank before the colon, a control character, a
 * bare CR or LF, and above `maxLines`. @see RFC 9112 section 5
 */
export function readFields(lines: ByteText, from: number, maxLines: number, fields: string[]): void {
  const { text, bytes } = lines;
  const end = text.length;
  let at = from;
  for (let count = 0; at < end; count++) {
    if (count === maxLines) throw new MalformedMessage(`more than ${maxLines} header lines`, 'too-large');
    const nameStart = at;
    let hash = NO_HASH;
    for (; at < end; at++) {
      const byte = bytes[at] ?? 0;
      if (((KIND_OF_BYTE[byte] ?? 0) & NAME) === 0) break;
      hash = addToHash(hash, byte);
    }
    // A folded line begins with a blank and so has an empty name.
    if (at === nameStart || at === end || bytes[at] !== COLON) throw new MalformedMessage('a malformed header name');
    const name = findName(lines, nameStart, at, hash);
    at++;
    while (at < end && isBlank(bytes[at])) at++;
    const valueStart = at;
    at = findValueEnd(lines, at);
    let valueEnd = at;
    while (valueEnd > valueStart && isBlank(bytes[valueEnd - 1])) valueEnd--;
    fields.push(name, text.slice(valueStart, valueEnd));
    if (!isLineEnd(lines, at)) throw new MalformedMessage('a header value holds a control character');
    at += 2;
  }
}

/** Gives the token, such as a method, that goes from `from` to `to`; undefined = it is none. @see RFC 9110 section 5.6.2 */
export function readToken(text: ByteText, from: number, to: number): string | undefined {
  const { bytes } = text;
  let hash = NO_HASH;
  for (let at = from; at < to; at++) {
    const byte = bytes[at] ?? 0;
    if (((KIND_OF_BYTE[byte] ?? 0) & NAME) === 0) return undefined;
    hash = addToHash(hash, byte);
  }
  return to > from ? findName(text, from, to, hash) : undefined;
}

/** Gives where what may stand in a field value, and begins at `from`, ends. @see RFC 9110 section 5.5 */
export function findValueEnd({ text, bytes }: ByteText, from: number): number {
  let at = from;
  while (at < text.length && ((KIND_OF_BYTE[bytes[at] ?? 0] ?? 0) & VALUE) !== 0) at++;
  return at;
}

/** Says whether a line ends at `at`: with CRLF, or with the text. */
export function isLineEnd({ text, bytes }: ByteText, at: number): boolean {
  return at === text.length || (at < text.length && bytes[at] === CR && bytes[at + 1] === LF);
}

/** Adds a line to the text of a head, which does not end with CRLF and will not. */
export function appendField(text: string, name: string, value: string): string {
  // Piece by piece onto what there is: V8 flattens such a chain in one go, and a tree of lines a fifth slower.
  let longer = text;
  longer += lineStartOf(name);
  longer += value;
  return longer;
}

/** Adds lines, given as name, value, name, value ..., as `appendField` does. */
export function appendFields(text: string, fields: readonly string[]): string {
  let longer = text;
  for (let at = 0; at < fields.length; at += 2) longer = appendField(longer, fields[at] ?? '', fields[at + 1] ?? '');
  return longer;
}

/**
 * Says whether a field name is the one given in lower case, which has letters and hyphens only. Both are tokens: among those
 * the bit that tells upper from lower case makes nothing but a letter of a letter, and nothing but a hyphen of a hyphen.
 */
export function isNamed(name: string, lower: string): boolean {
  if (name.length !== lower.length) return false;
  for (let at = 0; at < lower.length; at++) if ((name.charCodeAt(at) | 0x20) !== lower.charCodeAt(at)) return false;
  return true;
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB;
}
