// Regular expressions that run in linear time, by V8's non-backtracking engine.
// Must not fall back to the backtracking one: a pattern from configuration may never cost more than its input's length.
import { setFlagsFromString } from 'node:v8';

/** Longest pattern accepted; a bound on what compiling it costs. */
const MAX_PATTERN_LENGTH = 512;

/**
 * Compiles a pattern, anchored at both ends, for linear time.
 * @throws SyntaxError when it is not a pattern, or needs backtracking (back-references, look-around, large repeats).
 * @see https://v8.dev/blog/non-backtracking-regexp
 */
export function buildLinearRegExp(pattern: string): RegExp {
  if (pattern.length > MAX_PATTERN_LENGTH) throw new SyntaxError(`longer than ${MAX_PATTERN_LENGTH} characters`);
  // The flag only allows the `l` modifier; expressions without it are untouched.
  setFlagsFromString('--enable-experimental-regexp-engine');
  // Alone first: `a)|(b` is a pattern only inside our brackets, where it would tear the anchors apart.
  new RegExp(pattern, 'l');
  return new RegExp(`^(?:${pattern})$`, 'l');
}
