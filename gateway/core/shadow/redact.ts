// What of a request may leave the gateway for people to read: names always, values only of fields that hold no secret.
// Must not trust a plugin: what it writes may repeat what it read.
import type { Difference, EffectLines } from './effects.ts';

/** Stands in the place of what may not be shown. */
export const WITHHELD = 'withheld';

/** Fields whose values are kept: what clients and upstreams say about form and language, nothing about who they are. */
const SHOWN_FIELDS: ReadonlySet<string> = new Set([
  'accept',
  'accept-charset',
  'accept-encoding',
  'accept-language',
  'accept-ranges',
  'access-control-request-headers',
  'access-control-request-method',
  'age',
  'allow',
  'cache-control',
  'connection',
  'content-encoding',
  'content-language',
  'content-length',
  'content-type',
  'date',
  'expires',
  'host',
  'keep-alive',
  'last-modified',
  'retry-after',
  'sec-fetch-dest',
  'sec-fetch-mode',
  'sec-fetch-site',
  'server',
  'transfer-encoding',
  'user-agent',
  'vary',
  'x-forwarded-proto',
]);

/** Longest value that is shown. */
const MAX_SHOWN_LENGTH = 200;
/** Runs of so many characters that a text shares with a secret give it away. */
const RUN = 6;
/** Shorter values are everywhere; a secret is longer. */
const MIN_SECRET_LENGTH = 3;
/** Longest part of a secret that is looked at. */
const MAX_SECRET_LENGTH = 8_192;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** Longer parts of a path are tokens, not words. */
const MAX_SEGMENT_LENGTH = 32;
const MIN_TOKEN_LENGTH = 16;

/** Gives header lines of which every value that may be a secret is withheld. */
export function redactLines(lines: EffectLines): EffectLines {
  return lines.map(([name, value]) => [name, redactValue(name, value)] as const);
}

function redactValue(name: string, value: string): string {
  if (SHOWN_FIELDS.has(name)) return value.slice(0, MAX_SHOWN_LENGTH);
  const scheme = name === 'authorization' && /^(Basic|Bearer) /i.exec(value)?.[0];
  return scheme ? `${scheme}${WITHHELD}` : WITHHELD;
}

/** Gives a query with its names alone. */
export function redactQuery(query: string): string {
  const names = query.split('&').map((part) => part.split('=', 1)[0] ?? '');
  return query === '' ? '' : names.map((name) => `${name.slice(0, MAX_SHOWN_LENGTH)}=${WITHHELD}`).join('&');
}

/** Gives a path without what is too long for a word: reset links and the like carry tokens there. */
export function redactPath(path: string): string {
  const isShown = (part: string): boolean => (part.length <= MAX_SEGMENT_LENGTH && !isToken(part)) || UUID.test(part);
  return path
    .split('/')
    .map((part) => (isShown(part) ? part : WITHHELD))
    .join('/');
}

/** Letters and digits in a row are a word, an id or a token; from some length on a token. */
function isToken(part: string): boolean {
  return part.length >= MIN_TOKEN_LENGTH && /\d/.test(part) && /[a-z]/i.test(part);
}

/** Lists the values of lines that are not shown: what else must not show them. */
export function listSecrets(lines: EffectLines): readonly string[] {
  return lines.flatMap(([name, value]) => (SHOWN_FIELDS.has(name) ? [] : [value]));
}

/** Gives differences in which nothing repeats a secret: in clear, reversed, or in one of the usual encodings. */
export function redactDifferences(
  differences: readonly Difference[],
  secrets: readonly string[],
): readonly Difference[] {
  const known = secrets
    .filter(({ length }) => length >= MIN_SECRET_LENGTH)
    .map((secret) => secret.slice(0, MAX_SECRET_LENGTH).toLowerCase());
  const show = (text: string): string => (repeats(text, known) ? WITHHELD : text.slice(0, MAX_SHOWN_LENGTH));
  // Short words are in every name.
  const long = known.filter(({ length }) => length >= RUN);
  const showName = (text: string): string => (repeats(text, long) ? WITHHELD : text.slice(0, MAX_SHOWN_LENGTH));
  return differences.map(({ name, installed, candidate, ...rest }) => ({
    ...rest,
    ...(name !== undefined && { name: showName(name) }),
    ...(installed !== undefined && { installed: show(installed) }),
    ...(candidate !== undefined && { candidate: show(candidate) }),
  }));
}

/** Gives a text for people to read, or `instead` where it repeats a secret. Short words are no secrets: they are in every sentence. */
export function redactText(text: string, secrets: readonly string[], instead: string): string {
  const long = secrets
    .filter(({ length }) => length >= RUN)
    .map((secret) => secret.slice(0, MAX_SECRET_LENGTH).toLowerCase());
  return repeats(text, long) ? instead : text;
}

/** Says whether a text gives away a part of a secret. `secrets` are in lower case. */
function repeats(text: string, secrets: readonly string[]): boolean {
  return listReadings(text.slice(0, 4 * MAX_SHOWN_LENGTH)).some((reading) =>
    secrets.some((secret) => sharesRun(reading.toLowerCase(), secret)),
  );
}

function sharesRun(text: string, secret: string): boolean {
  const run = Math.min(RUN, secret.length);
  for (let at = 0; at + run <= text.length; at++) if (secret.includes(text.slice(at, at + run))) return true;
  return false;
}

/** Gives what a text may mean: itself, backwards, and what it decodes to, wherever the encoded part begins. */
function listReadings(text: string): readonly string[] {
  const readings = [text, [...text].reverse().join(''), decodePercent(text)];
  for (const [token] of text.matchAll(/[\w+/-]{8,}/g)) {
    for (const skipped of [0, 1, 2, 3]) readings.push(Buffer.from(token.slice(skipped), 'base64').toString('latin1'));
    for (const skipped of [0, 1]) readings.push(Buffer.from(token.slice(skipped), 'hex').toString('latin1'));
  }
  return readings;
}

function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
