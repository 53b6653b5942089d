// Names of header fields that came lately: one that comes again is no new string, and its hash is known to every map.
// Must not hold much: clients choose names.
import type { ByteText } from './byte-text.ts';

/** Names kept; a power of two. */
const SLOTS = 1_024;
/** Longer names are rare, and not worth their memory. */
const MAX_LENGTH = 40;

const names: string[] = Array.from({ length: SLOTS }, () => '');

/** Begins the hash of a name. */
export const NO_HASH = 0;

/** Adds a byte to the hash of a name. */
export function addToHash(hash: number, code: number): number {
  return (Math.imul(hash, 31) + code) | 0;
}

/** Gives the name that stands from `from` to `to`, whose hash is `hash`, as it was sent. */
export function findName({ text, bytes }: ByteText, from: number, to: number, hash: number): string {
  const slot = (hash ^ (hash >>> 10)) & (SLOTS - 1);
  const known = names[slot] ?? '';
  if (known.length === to - from && standsAt(known, bytes, from)) return known;
  const name = text.slice(from, to);
  if (name.length > MAX_LENGTH) return name;
  const copy = copyOf(name);
  names[slot] = copy;
  return copy;
}

/** What lines that begin with a name begin with; half as many pieces for V8 to put together. */
const lineStarts = new Map<string, string>();

/** Gives the end of the line before, a name, and what is between it and its value. */
export function lineStartOf(name: string): string {
  return lineStarts.get(name) ?? learnLineStart(name);
}

function learnLineStart(name: string): string {
  const start = `\r\n${name}: `;
  if (name.length > MAX_LENGTH) return start;
  if (lineStarts.size >= SLOTS) lineStarts.clear();
  const copy = copyOf(start);
  // Under the very name: others of the same letters have to be compared by them.
  lineStarts.set(name, copy);
  return copy;
}

/** Copies a text into one piece: a slice keeps the whole head in memory, and what was added up is walked each time. */
function copyOf(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

function standsAt(name: string, bytes: Uint8Array, from: number): boolean {
  for (let at = 0; at < name.length; at++) if (name.charCodeAt(at) !== bytes[from + at]) return false;
  return true;
}
