// Writes JSON in one form, so that equal data gives equal bytes and equal digests.
// Must not know what the data says.
import { createHash } from 'node:crypto';

/**
 * Writes plain data as JSON without spaces, keys sorted by code unit: what RFC 8785 makes of the same data.
 * @throws TypeError when it holds what JSON does not: functions, symbols, numbers that are not finite.
 */
export function writeCanonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(writeCanonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, one]) => one !== undefined);
    const sorted = entries.sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${sorted.map(([key, one]) => `${JSON.stringify(key)}:${writeCanonicalJson(one)}`).join(',')}}`;
  }
  const isPlain = value === null || typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);
  if (!isPlain) throw new TypeError(`expected data that JSON can hold, not ${typeof value}`);
  return JSON.stringify(value);
}

/** Gives the SHA-256 of bytes, or of a text as UTF-8, in lower-case hex. */
export function hashSha256(data: Uint8Array | string): string {
  return createHash('sha256').update(data).digest('hex');
}
