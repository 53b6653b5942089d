// Finds the values of named fields in a JSON text that comes in pieces, cut anywhere.

/** Says what to hide. */
export interface Masking {
  readonly fields: ReadonlySet<string>;
  /** Bytes in the place of a value, with their quotes. */
  readonly mask: Uint8Array;
}

/** Is how far a text was read: plain data, so that it may travel between processes. */
export interface Scan {
  /** `text`: between strings. `string`: in one that is kept. The others: in a value that is hidden. */
  readonly mode: 'text' | 'string' | 'hidden-string' | 'hidden-scalar' | 'hidden-nested';
  readonly isEscaped: boolean;
  /** The last string, as long as it may be the name of a field. */
  readonly name: string;
  /** The next value belongs to a field that is hidden. */
  readonly isDue: boolean;
  /** Brackets open in a hidden value. */
  readonly depth: number;
  readonly isInNestedString: boolean;
}

/** Is the beginning of every text. */
export const START: Scan = {
  mode: 'text',
  isEscaped: false,
  name: '',
  isDue: false,
  depth: 0,
  isInNestedString: false,
};

// A name of 100 characters, each written as \u0000; a longer string is no name that we look for.
const MAX_NAME_LENGTH = 600;
const [QUOTE, BACKSLASH, COLON] = [0x22, 0x5c, 0x3a];
const OPENING = new Set([0x5b, 0x7b]);
const CLOSING = new Set([0x5d, 0x7d]);
const SPACE = new Set([0x20, 0x09, 0x0a, 0x0d]);
const SCALAR_END = new Set([0x2c, 0x5d, 0x7d, ...SPACE]);

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

interface Sink {
  readonly bytes: Uint8Array;
  length: number;
}

/** Gives the bytes with hidden values replaced, and where to go on. Bytes of UTF-8 above 0x7f are never structure. */
export function maskChunk(
  chunk: Uint8Array,
  scan: Scan,
  masking: Masking,
): { readonly bytes: Uint8Array; readonly next: Scan } {
  const next: Mutable<Scan> = { ...scan };
  // A hidden value follows a colon: of this chunk, or the last one of the chunk before.
  let mostHidden = 1;
  for (const byte of chunk) if (byte === COLON) mostHidden++;
  const sink: Sink = { bytes: new Uint8Array(chunk.length + mostHidden * masking.mask.length), length: 0 };
  for (const byte of chunk) step(byte, next, sink, masking);
  return { bytes: sink.bytes.subarray(0, sink.length), next };
}

function step(byte: number, scan: Mutable<Scan>, sink: Sink, masking: Masking): void {
  if (scan.mode === 'hidden-scalar' && SCALAR_END.has(byte)) scan.mode = 'text';
  switch (scan.mode) {
    case 'text':
      readText(byte, scan, sink, masking);
      break;
    case 'string':
      sink.bytes[sink.length++] = byte;
      readString(byte, scan);
      break;
    case 'hidden-string':
      if (isStringEnd(byte, scan)) scan.mode = 'text';
      break;
    case 'hidden-nested':
      skipNested(byte, scan);
      break;
    default:
  }
}

function readText(byte: number, scan: Mutable<Scan>, sink: Sink, masking: Masking): void {
  if (scan.isDue && !SPACE.has(byte)) {
    hide(byte, scan, sink, masking);
    return;
  }
  sink.bytes[sink.length++] = byte;
  if (byte === QUOTE) {
    scan.mode = 'string';
    scan.name = '';
  } else if (byte === COLON) {
    scan.isDue = masking.fields.has(decode(scan.name));
  }
}

function hide(byte: number, scan: Mutable<Scan>, sink: Sink, { mask }: Masking): void {
  scan.isDue = false;
  sink.bytes.set(mask, sink.length);
  sink.length += mask.length;
  if (byte === QUOTE) scan.mode = 'hidden-string';
  else if (OPENING.has(byte)) {
    scan.mode = 'hidden-nested';
    scan.depth = 1;
  } else scan.mode = 'hidden-scalar';
}

function readString(byte: number, scan: Mutable<Scan>): void {
  if (isStringEnd(byte, scan)) scan.mode = 'text';
  else if (scan.name.length <= MAX_NAME_LENGTH) scan.name += String.fromCharCode(byte);
}

function skipNested(byte: number, scan: Mutable<Scan>): void {
  if (scan.isInNestedString) {
    if (isStringEnd(byte, scan)) scan.isInNestedString = false;
    return;
  }
  if (byte === QUOTE) scan.isInNestedString = true;
  else if (OPENING.has(byte)) scan.depth++;
  else if (CLOSING.has(byte) && --scan.depth === 0) scan.mode = 'text';
}

function isStringEnd(byte: number, scan: Mutable<Scan>): boolean {
  if (scan.isEscaped) scan.isEscaped = false;
  else if (byte === BACKSLASH) scan.isEscaped = true;
  else return byte === QUOTE;
  return false;
}

/** Reads escapes: `"\u0070assword"` is the name password too. */
function decode(name: string): string {
  if (!name.includes('\\')) return name;
  try {
    return String(JSON.parse(`"${name}"`));
  } catch {
    return name;
  }
}
