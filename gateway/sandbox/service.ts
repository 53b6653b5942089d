// Serves what a guest asks for and notes: each goes to the guarded host or exchange, which say no.
// Must not trust a type: what comes in is taken for what an attacker wrote.
import type { FetchOptions, Host, Limiter, LimitStore, LimitWindow } from '../core/plugin.ts';
import { ProtocolError } from './effects.ts';
import type { GuardedExchange } from './guard.ts';
import { MAX_BLOB_BYTES } from './messages.ts';

/** Is on whose behalf a guest asks. */
export interface Asker {
  readonly host: Host | undefined;
  readonly exchange: GuardedExchange | undefined;
}

/** Is a call as it came. */
export interface Call {
  readonly name: unknown;
  readonly args: readonly unknown[];
  readonly bytes: Uint8Array | undefined;
}

/** Is what goes back. */
export interface Served {
  readonly value?: unknown;
  readonly bytes?: Uint8Array;
}

const MAX_KEY_LENGTH = 1_024;
const MAX_LABELS = 8;
const MAX_LABEL_LENGTH = 128;

/** Limiters by what they were asked for: a guest names one anew with every take. */
const limiters = new WeakMap<Host, Map<string, Limiter>>();

/** Serves a call. @throws what the guarded host or exchange throws */
export async function answerCall({ host, exchange }: Asker, { name, args, bytes }: Call): Promise<Served> {
  if (name === 'readBody' || name === 'find') {
    if (!exchange) throw new Error('the hook is over');
    return name === 'readBody' ? readBody(exchange, args[0]) : find(exchange, args);
  }
  if (!host) throw new Error('the set-up is closed');
  switch (name) {
    case 'fetch':
      return fetchFor(host, args, bytes);
    case 'take':
      return { value: await findLimiter(host, args[0]).take(readKey(args[1])) };
    case 'kvGet':
      return { value: await host.kv.get(readKey(args[0])) };
    case 'kvSet':
      return { value: await host.kv.set(readKey(args[0]), readText(args[1]), readCount(args[2])) };
    case 'kvDelete':
      return { value: await host.kv.delete(readKey(args[0])) };
    default:
      throw new ProtocolError('a call of no known name');
  }
}

async function readBody(exchange: GuardedExchange, maxBytes: unknown): Promise<Served> {
  const bound = readCount(maxBytes);
  return { bytes: await exchange.request.readBody(bound && Math.min(bound, MAX_BLOB_BYTES)) };
}

async function find(exchange: GuardedExchange, args: readonly unknown[]): Promise<Served> {
  const identity = await exchange.consumers.findByCredential(readKey(args[0]), readKey(args[1]));
  return { value: identity && [identity.consumer, identity.credential] };
}

async function fetchFor(host: Host, args: readonly unknown[], body: Uint8Array | undefined): Promise<Served> {
  const given = toRecord(args[1]);
  const headers = Object.entries(toRecord(given['headers'])).map(([name, value]) => [name, readText(value)]);
  const options: { -readonly [Key in keyof FetchOptions]: FetchOptions[Key] } = {
    headers: Object.fromEntries(headers),
  };
  if (given['method'] !== undefined) options.method = readText(given['method']);
  if (given['timeoutMs'] !== undefined) options.timeoutMs = readCount(given['timeoutMs']) ?? 0;
  if (given['maxBytes'] !== undefined) options.maxBytes = readCount(given['maxBytes']) ?? 0;
  if (body) options.body = body;
  const result = await host.fetch(readText(args[0]), options);
  return { value: [result.status, result.headers], bytes: result.body };
}

function findLimiter(host: Host, value: unknown): Limiter {
  const key = JSON.stringify(value);
  const known = limiters.get(host) ?? new Map<string, Limiter>();
  limiters.set(host, known);
  const limiter = known.get(key);
  if (limiter) return limiter;
  const { name, windows, store } = toRecord(value);
  if (!Array.isArray(windows) || windows.length > MAX_LABELS) throw new ProtocolError('expected windows');
  const made = host.limits.limiter({
    name: readKey(name),
    windows: windows.map(toRecord) as unknown as readonly LimitWindow[],
    store: store === 'redis' || store === 'postgres' ? (store satisfies LimitStore) : 'local',
  });
  known.set(key, made);
  return made;
}

/** Takes a line of the log or a measurement; one that cannot be used is dropped, for nobody waits for an answer. */
export function takeNote(note: unknown, findHost: (instance: number) => Host | undefined): void {
  if (!Array.isArray(note)) throw new ProtocolError('expected a note');
  const host = findHost(Number(note[1]));
  if (!host) return;
  try {
    if (note[0] === 'log') takeLine(host, note);
    else if (note[0] === 'metric') takeMetric(host, note);
  } catch (error) {
    host.log.warn('a note of the plugin was dropped', { reason: error instanceof Error ? error.message : 'unknown' });
  }
}

function takeLine({ log }: Host, [, , level, message, fields]: readonly unknown[]): void {
  const write = level === 'debug' || level === 'warn' || level === 'error' ? level : 'info';
  log[write](String(message), toRecord(fields));
}

function takeMetric({ metrics }: Host, note: readonly unknown[]): void {
  const [, , kind, name, help, labelNames, buckets, labelValues, value] = note;
  const names = readLabels(labelNames);
  const values = readLabels(labelValues);
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0)
    throw new TypeError('expected an amount from 0');
  if (values.length !== names.length) throw new TypeError('expected a value for each label');
  if (kind === 'counter') {
    metrics
      .counter(readKey(name), readKey(help), names)
      .series(...values)
      .add(value);
    return;
  }
  const bounds = Array.isArray(buckets) ? buckets.slice(0, 20).map(Number) : [];
  metrics
    .histogram(readKey(name), readKey(help), names, bounds)
    .series(...values)
    .observe(value);
}

function readLabels(value: unknown): readonly string[] {
  if (!Array.isArray(value) || value.length > MAX_LABELS) throw new TypeError('expected labels');
  return value.map((one) => String(one).slice(0, MAX_LABEL_LENGTH));
}

function readText(value: unknown): string {
  if (typeof value !== 'string') throw new ProtocolError('expected text');
  return value;
}

function readKey(value: unknown): string {
  const text = readText(value);
  if (text.length > MAX_KEY_LENGTH) throw new RangeError('the text is too long');
  return text;
}

function readCount(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined;
}

function toRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
