// Matches one request against the declared fields of a route or of a binding's condition.
// Must not order routes: that is router.ts.
import { readQuery } from '../exchange/query.ts';
import type { Condition } from '../model.ts';
import { buildLinearRegExp } from './linear-regexp.ts';
import { comparablePath } from './path.ts';

/** Is what matching looks at; the same for the router, conditions and explain. */
export interface MatchRequest {
  readonly method: string;
  /** Lower case, without port. */
  readonly host: string;
  /** Canonical path. */
  readonly path: string;
  /** Query as sent, without `?`; empty when absent. */
  readonly query: string;
  readonly headers: { getAll(name: string): readonly string[] };
}

/** Tests one field of a request. */
export type FieldTest = (request: MatchRequest) => boolean;

type ValueMap = Readonly<Record<string, readonly string[]>>;

/** Compiles the header and query fields: every named one must be there, and every occurrence must have a listed value. */
export function buildFieldTests(headers: ValueMap, query: ValueMap): readonly FieldTest[] {
  const tests: FieldTest[] = [];
  for (const [name, allowed] of Object.entries(headers)) {
    const values = new Set(allowed);
    tests.push((request) => everyIsIn(request.headers.getAll(name), values));
  }
  for (const [name, allowed] of Object.entries(query)) {
    const values = new Set(allowed);
    tests.push(({ query: sent }) => {
      const found = readQuery(sent).filter((part) => part.name === name);
      return everyIsIn(
        found.map(({ value }) => value),
        values,
      );
    });
  }
  // One list for all: with thousands of routes each of their own would be fetched from memory to find that it is empty.
  return tests.length === 0 ? NO_TESTS : tests;
}

const NO_TESTS: readonly FieldTest[] = [];

// One good value beside a bad one must not match: the upstream may read either. CVE-2021-32777 was that.
function everyIsIn(values: readonly string[], allowed: ReadonlySet<string>): boolean {
  return values.length > 0 && values.every((value) => allowed.has(value));
}

/** Compiles the condition of a binding. */
export function buildCondition(condition: Condition): FieldTest {
  const methods = new Set(condition.methods ?? []);
  const patterns = (condition.paths ?? []).map(readPathPattern);
  const tests = buildFieldTests(condition.headers ?? {}, condition.query ?? {});
  return (request) =>
    (methods.size === 0 || methods.has(request.method)) &&
    (patterns.length === 0 || patterns.some((pattern) => matchesPath(pattern, request.path))) &&
    tests.every((test) => test(request));
}

/** Is one path of a route, taken apart. `key` is without its mark, in the form that `comparablePath` gives. */
export type PathPattern =
  | { readonly kind: 'exact'; readonly key: string }
  | { readonly kind: 'prefix'; readonly key: string }
  | { readonly kind: 'regex'; readonly key: string; readonly expression: RegExp };

/** Reads `/prefix`, `=/exact` or `~/regex`. @throws SyntaxError when the expression cannot run in linear time. */
export function readPathPattern(path: string): PathPattern {
  if (path.startsWith('=')) return { kind: 'exact', key: comparablePath(path.slice(1)) };
  if (path.startsWith('~')) return { kind: 'regex', key: path.slice(1), expression: buildLinearRegExp(path.slice(1)) };
  return { kind: 'prefix', key: comparablePath(path) };
}

/** Tests a canonical path. A prefix ends on a segment border: `/a` matches `/a` and `/a/b`, not `/ab`. */
export function matchesPath(pattern: PathPattern, canonicalPath: string): boolean {
  const path = comparablePath(canonicalPath);
  if (pattern.kind === 'exact') return path === pattern.key;
  if (pattern.kind === 'regex') return pattern.expression.test(path);
  if (!path.startsWith(pattern.key)) return false;
  return (
    pattern.key.endsWith('/') || path.length === pattern.key.length || path.charCodeAt(pattern.key.length) === 0x2f
  );
}

/** Tests a host: exact, or `*.example.com` for one or more labels before it. */
export function matchesHost(pattern: string, host: string): boolean {
  if (!pattern.startsWith('*.')) return pattern === host;
  return host.length > pattern.length - 1 && host.endsWith(pattern.slice(1));
}
