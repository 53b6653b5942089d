// Which trailers may pass.
// Must not check their grammar: the wire has.
import { isReserved } from './field-name.ts';

/**
 * Gives the trailers that may go on: not those that frame, route, authenticate or say who calls, for a recipient may merge
 * them into the header section. @see RFC 9110 section 6.5.1
 */
export function readTrailers(rawTrailers: readonly string[]): readonly string[] {
  const kept: string[] = [];
  for (let at = 0; at < rawTrailers.length; at += 2) {
    const raw = rawTrailers[at] ?? '';
    const name = raw.toLowerCase().replaceAll('_', '-');
    if (isReserved(name) || NO_TRAILERS.has(name) || name.startsWith('content-')) continue;
    kept.push(raw, rawTrailers[at + 1] ?? '');
  }
  return kept;
}

const NO_TRAILERS = new Set([
  'age',
  'authorization',
  'cache-control',
  'cookie',
  'date',
  'expires',
  'location',
  'max-forwards',
  'pragma',
  'range',
  'retry-after',
  'set-cookie',
  'vary',
  'via',
  'warning',
  'www-authenticate',
]);
