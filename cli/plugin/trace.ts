// Watches the hooks of one plugin and says what each changed.
// Must not change what a hook does.
import type { Exchange, MaybePromise, Plugin } from '../../gateway/core/plugin.ts';

/** Is what one hook did to one exchange. */
export interface HookTrace {
  readonly hook: string;
  readonly tookMs: number;
  /** One line each; empty = it changed nothing. */
  readonly changes: readonly string[];
}

/** Is what a plugin did to one exchange. */
export interface ExchangeTrace {
  readonly method: string;
  /** Path and query as the client sent them. */
  readonly target: string;
  /** What the client got; 0 = nothing. */
  readonly status: number;
  readonly totalMs: number;
  readonly hooks: readonly HookTrace[];
}

/** Counts what a chunk hook saw and gave. */
interface ChunkTally {
  tookMs: number;
  chunks: number;
  bytesIn: number;
  bytesOut: number;
}

/** Is what is known of one exchange while it runs. */
interface Recording {
  readonly method: string;
  readonly target: string;
  readonly hooks: HookTrace[];
  readonly chunks: Map<string, ChunkTally>;
  /** What was called since the current hook began. */
  calls: string[];
}

type Hook = (exchange: Exchange, config: unknown, state: unknown) => MaybePromise<void>;
type ChunkHook = NonNullable<Plugin<unknown, unknown>['onRequestChunk']>;

const HOOKS = ['onRequest', 'onUpstreamRequest', 'onResponse'] as const;
const CHUNK_HOOKS = ['onRequestChunk', 'onResponseChunk'] as const;
/** A value longer than this is cut: the line is for a glance. */
const MAX_VALUE_LENGTH = 120;

/** Gives the plugin with every hook watched; `report` hears of each exchange at its end. */
export function traceHooks(
  plugin: Plugin<unknown, unknown>,
  report: (trace: ExchangeTrace) => void,
): Plugin<unknown, unknown> {
  const records = new WeakMap<Exchange, Recording>();
  const find = (exchange: Exchange): Recording => {
    const record = records.get(exchange) ?? openRecord(exchange);
    records.set(exchange, record);
    return record;
  };
  const watched: Plugin<unknown, unknown> = { ...plugin };
  for (const name of HOOKS) {
    const hook = plugin[name]?.bind(plugin);
    if (hook) watched[name] = watchHook(name, hook, find);
  }
  for (const name of CHUNK_HOOKS) {
    const hook = plugin[name]?.bind(plugin);
    if (hook) watched[name] = watchChunks(name, hook, find);
  }
  watched.onLog = (exchange, config, state) => {
    plugin.onLog?.(exchange, config, state);
    report(closeRecord(exchange, find(exchange)));
  };
  return watched;
}

function watchHook(name: string, hook: Hook, find: (exchange: Exchange) => Recording): Hook {
  return (exchange, config, state) => {
    const record = find(exchange);
    record.calls = [];
    const before = viewOf(exchange);
    const beganAt = performance.now();
    const finish = (failure: readonly string[]): void => {
      const tookMs = performance.now() - beganAt;
      const changes = [...record.calls, ...compareViews(before, viewOf(exchange)), ...failure];
      record.hooks.push({ hook: name, tookMs, changes });
    };
    const fail = (error: unknown): never => {
      finish([describeThrown(error)]);
      throw error;
    };
    try {
      const waiting = hook(exchange, config, state);
      if (waiting instanceof Promise) return waiting.then(() => finish([]), fail);
      finish([]);
      return waiting;
    } catch (error) {
      return fail(error);
    }
  };
}

function watchChunks(name: string, hook: ChunkHook, find: (exchange: Exchange) => Recording): ChunkHook {
  return (chunk, last, exchange, config, state) => {
    const { chunks } = find(exchange);
    const tally = chunks.get(name) ?? { tookMs: 0, chunks: 0, bytesIn: 0, bytesOut: 0 };
    chunks.set(name, tally);
    const bytesIn = chunk.length;
    const beganAt = performance.now();
    const note = (result: Uint8Array | null | undefined): Uint8Array | null | undefined => {
      tally.tookMs += performance.now() - beganAt;
      tally.chunks++;
      tally.bytesIn += bytesIn;
      tally.bytesOut += result === null ? 0 : (result?.length ?? bytesIn);
      return result;
    };
    const result = hook(chunk, last, exchange, config, state);
    return result instanceof Promise ? result.then(note) : note(result);
  };
}

function openRecord(exchange: Exchange): Recording {
  const { request } = exchange;
  const target = request.query === '' ? request.path : `${request.path}?${request.query}`;
  const record: Recording = { method: request.method, target, hooks: [], chunks: new Map(), calls: [] };
  const setBody = request.setBody.bind(request);
  request.setBody = (body) => {
    setBody(body);
    record.calls.push(`request body: replaced by ${body.length} bytes`);
  };
  const respond = exchange.respond.bind(exchange);
  exchange.respond = (status, headers, body) => {
    respond(status, headers, body);
    record.calls.push(`answered with ${status}, ${body?.length ?? 0} bytes`);
  };
  return record;
}

function closeRecord(exchange: Exchange, record: Recording): ExchangeTrace {
  const chunkHooks = [...record.chunks].map(([hook, tally]) => ({
    hook,
    tookMs: tally.tookMs,
    changes: [`${tally.chunks} chunks, ${tally.bytesIn} bytes in, ${tally.bytesOut} bytes out`],
  }));
  return {
    method: record.method,
    target: record.target,
    status: exchange.response?.status ?? 0,
    totalMs: exchange.outcome.totalMs,
    hooks: [...record.hooks, ...chunkHooks],
  };
}

/** Gives all that a hook can change, each as one text under the name it is printed with. */
function viewOf(exchange: Exchange): ReadonlyMap<string, string> {
  const { request, response, consumer } = exchange;
  const view = new Map<string, string>();
  view.set('request path', request.path);
  view.set('request query', request.query);
  for (const [name, value] of request.headers.entries()) append(view, `request header ${name}`, value);
  if (response) {
    view.set('response status', String(response.status));
    for (const [name, value] of response.headers.entries()) append(view, `response header ${name}`, value);
  }
  if (consumer) view.set('consumer', consumer.username);
  view.set('request id', exchange.id);
  return view;
}

function append(view: Map<string, string>, label: string, value: string): void {
  const before = view.get(label);
  view.set(label, before === undefined ? value : `${before}, ${value}`);
}

function compareViews(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  const labels = new Set([...before.keys(), ...after.keys()]);
  return [...labels]
    .filter((label) => before.get(label) !== after.get(label))
    .map((label) => `${label}: ${show(before.get(label))} -> ${show(after.get(label))}`);
}

function show(value: string | undefined): string {
  if (value === undefined) return '(absent)';
  const text = JSON.stringify(value);
  return text.length > MAX_VALUE_LENGTH ? `${text.slice(0, MAX_VALUE_LENGTH)}...` : text;
}

function describeThrown(error: unknown): string {
  if (!(error instanceof Error)) return `threw ${String(error)}`;
  const code = 'code' in error ? ` ${String(error.code)}` : '';
  return `threw ${error.name}${code}: ${error.message}`;
}

/** Writes a trace for a terminal: a line for the exchange, one for each change below it. */
export function describeTrace(trace: ExchangeTrace): string {
  const head = `${trace.method} ${trace.target} -> ${trace.status} in ${trace.totalMs.toFixed(1)} ms`;
  const lines = trace.hooks.flatMap(({ hook, tookMs, changes }) => {
    const label = `  ${hook.padEnd(18)}${tookMs.toFixed(2).padStart(6)} ms  `;
    const blank = ' '.repeat(label.length);
    const shown = changes.length > 0 ? changes : ['changed nothing'];
    return shown.map((change, at) => `${at === 0 ? label : blank}${change}`);
  });
  return [head, ...lines].join('\n');
}
