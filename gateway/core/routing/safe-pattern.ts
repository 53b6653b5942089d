// Patterns of config schemas that strangers wrote, run in linear time: counted repeats written out, no flags.
// Must not fall back to the backtracking engine, nor read a pattern as something else than its author meant.
import { setFlagsFromString } from 'node:v8';

/** Longest pattern, as written. */
const MAX_PATTERN_LENGTH = 512;
/** Longest pattern with its repeats written out: each character of it may cost a step for each character of the text. */
const MAX_EXPANDED_LENGTH = 8_192;

/** Means something else, or nothing, without the flag `u`; back-references need the other engine. */
const FOREIGN_ESCAPE = /^\\(?:[pPk1-9]|0\d|u\{)/;
/** Stand for a place or for what came before, and cannot be repeated. */
const UNREPEATABLE = /^(?:[*+?|^$]|\\[bB])$/;
const ESCAPE = /^\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|c[A-Za-z]|[\s\S])/;
const REPEAT = /^\{(\d{1,5})(,(\d{1,5})?)?\}/;

/**
 * Compiles a pattern of a config schema for linear time. V8's engine for that refuses counted repeats beyond 16; so they
 * are written out: `a{2,3}` as `aaa?`.
 * @throws SyntaxError when it is no pattern, is too large, or needs backtracking (back-references, look-around).
 */
export function buildSafePattern(pattern: string): RegExp {
  if (pattern.length > MAX_PATTERN_LENGTH) throw new SyntaxError(`longer than ${MAX_PATTERN_LENGTH} characters`);
  // The flag only allows the `l` modifier; expressions without it are untouched.
  setFlagsFromString('--enable-experimental-regexp-engine');
  const { text, end } = expand(pattern, 0);
  if (end < pattern.length) throw new SyntaxError('unmatched )');
  return new RegExp(text, 'l');
}

/** Writes out the repeats from `start` to the end of the pattern or the bracket that closes it. */
function expand(pattern: string, start: number): { readonly text: string; readonly end: number } {
  let text = '';
  let at = start;
  while (at < pattern.length && pattern[at] !== ')') {
    const atom = readAtom(pattern, at);
    at = atom.end;
    const repeat = REPEAT.exec(pattern.slice(at));
    if (repeat && UNREPEATABLE.test(atom.text)) throw new SyntaxError('nothing to repeat');
    text += repeat ? writeOut(atom.text, repeat) : atom.text;
    if (repeat) {
      at += repeat[0].length;
      // A lazy repeat matches the same texts.
      if (pattern[at] === '?') at += 1;
      if ('*+{?'.includes(pattern[at] ?? '.')) throw new SyntaxError('nothing to repeat');
    }
    if (text.length > MAX_EXPANDED_LENGTH) throw new SyntaxError('too large with its repeats written out');
  }
  return { text, end: at };
}

function readAtom(pattern: string, at: number): { readonly text: string; readonly end: number } {
  const rest = pattern.slice(at);
  if (FOREIGN_ESCAPE.test(rest)) throw new SyntaxError(`${rest.slice(0, 2)} is not supported`);
  const literal = ESCAPE.exec(rest)?.[0] ?? (rest.startsWith('[') ? readClass(rest) : undefined);
  if (literal !== undefined) return { text: literal, end: at + literal.length };
  if (rest.startsWith('(')) return readGroup(pattern, at);
  if (rest.startsWith('{') || rest.startsWith('}') || rest.startsWith(']'))
    throw new SyntaxError(`${rest[0]} needs a \\`);
  return { text: rest.slice(0, 1), end: at + 1 };
}

function readClass(rest: string): string {
  for (let at = 1; at < rest.length; at += 1) {
    if (FOREIGN_ESCAPE.test(rest.slice(at))) throw new SyntaxError(`${rest.slice(at, at + 2)} is not supported`);
    if (rest[at] === '\\') at += 1;
    else if (rest[at] === ']') return rest.slice(0, at + 1);
  }
  throw new SyntaxError('unterminated class');
}

function readGroup(pattern: string, at: number): { readonly text: string; readonly end: number } {
  const head = /^\((?:\?(?::|<[A-Za-z]\w*>))?/.exec(pattern.slice(at))?.[0] ?? '(';
  if (pattern[at + head.length] === '?') throw new SyntaxError('look-around is not supported');
  const inner = expand(pattern, at + head.length);
  if (pattern[inner.end] !== ')') throw new SyntaxError('unterminated group');
  // Nobody asks what a group held, and a name may not come twice.
  return { text: `(?:${inner.text})`, end: inner.end + 1 };
}

function writeOut(atom: string, [, from = '', range, to]: readonly (string | undefined)[]): string {
  const least = Number(from);
  const most = range === undefined ? least : to === undefined ? undefined : Number(to);
  if (most !== undefined && most < least) throw new SyntaxError('the numbers of a repeat are out of order');
  const length = atom.length * (most ?? least + 1);
  if (length > MAX_EXPANDED_LENGTH) throw new SyntaxError('too large with its repeats written out');
  return atom.repeat(least) + (most === undefined ? `${atom}*` : `${atom}?`.repeat(most - least));
}
