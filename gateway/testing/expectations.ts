// Compares what came of a fixture with what must have come, and says each difference in one line.
// Must not run a plugin.
import type { HeaderFields } from '../core/plugin.ts';
import { escapePointer } from '../core/validate.ts';
import type { ExpectedHeaders, Fixture } from './fixture-file.ts';
import type { RunResult } from './run.ts';

/** A value longer than this is cut: the line is for a glance. */
const MAX_VALUE_LENGTH = 200;
/** One body must not fill the terminal. */
const MAX_DIFFERENCES = 20;

/** Lists what differs; empty = all is as expected. */
export function compareResult(expected: Fixture['expect'], result: RunResult): readonly string[] {
  const { status, response = {}, sent } = expected;
  return [
    ...(status === undefined || status === result.status ? [] : [differs('status', status, result.status)]),
    ...compareHeaders('response.headers', response.headers, result.headers),
    ...compareBody('response.body', response.body, result.body),
    ...(sent === undefined ? [] : compareSent(sent, result.sent)),
  ];
}

function compareSent(expected: NonNullable<Fixture['expect']['sent']> | null, sent: RunResult['sent']): string[] {
  if (expected === null) return sent === undefined ? [] : ['sent: the upstream was asked, and must not be'];
  if (sent === undefined) return ['sent: the upstream was not asked'];
  const [path = '', query = ''] = splitTarget(sent.target);
  return [
    ...(expected.path === undefined || expected.path === path ? [] : [differs('sent.path', expected.path, path)]),
    ...(expected.query === undefined || expected.query === query ? [] : [differs('sent.query', expected.query, query)]),
    ...compareHeaders('sent.headers', expected.headers, sent.headers),
    ...compareBody('sent.body', expected.body, sent.body),
  ];
}

function splitTarget(target: string): readonly [string, string] {
  const at = target.indexOf('?');
  return at === -1 ? [target, ''] : [target.slice(0, at), target.slice(at + 1)];
}

function compareHeaders(place: string, expected: ExpectedHeaders = {}, actual: HeaderFields): string[] {
  return Object.entries(expected).flatMap(([name, value]) => {
    const wanted = value === null ? [] : [value].flat();
    const got = actual.getAll(name);
    if (wanted.length === got.length && wanted.every((one, at) => one === got[at])) return [];
    return [differs(`${place}.${name}`, unwrap(wanted), unwrap(got))];
  });
}

/** Shows one value as itself, none as absent. */
function unwrap(values: readonly string[]): unknown {
  return values.length > 1 ? values : values[0];
}

function compareBody(place: string, expected: unknown, actual: string): string[] {
  if (expected === undefined) return [];
  if (typeof expected === 'string') return expected === actual ? [] : [differs(place, expected, actual)];
  let value: unknown;
  try {
    value = JSON.parse(actual);
  } catch {
    return [`${place}: expected JSON, got ${show(actual)}`];
  }
  return compareJson(place, expected, value).slice(0, MAX_DIFFERENCES);
}

function compareJson(place: string, expected: unknown, actual: unknown): string[] {
  if (Object.is(expected, actual)) return [];
  const [wanted, got] = [entriesOf(expected), entriesOf(actual)];
  if (!wanted || !got || Array.isArray(expected) !== Array.isArray(actual)) return [differs(place, expected, actual)];
  const keys = new Set([...wanted.keys(), ...got.keys()]);
  return [...keys].flatMap((key) => compareJson(`${place}/${escapePointer(key)}`, wanted.get(key), got.get(key)));
}

function entriesOf(value: unknown): ReadonlyMap<string, unknown> | undefined {
  return typeof value === 'object' && value !== null ? new Map(Object.entries(value)) : undefined;
}

function differs(place: string, expected: unknown, actual: unknown): string {
  return `${place}: expected ${show(expected)}, got ${show(actual)}`;
}

function show(value: unknown): string {
  const written = value === undefined ? '(absent)' : JSON.stringify(value);
  return written.length > MAX_VALUE_LENGTH ? `${written.slice(0, MAX_VALUE_LENGTH)}...` : written;
}
