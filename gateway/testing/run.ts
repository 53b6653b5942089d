// Runs one plugin through a whole exchange, in the order of the live pipeline.
// Must not decide anything that the gateway decides elsewhere: it only walks.
import { ERRORS, type ErrorCode, GatewayError } from '../core/errors.ts';
import type { HeaderFields, Plugin } from '../core/plugin.ts';
import {
  bytesOf,
  type ExchangeOptions,
  fakeExchange,
  fakeResponse,
  type HeaderInput,
  type TestExchange,
} from './exchange.ts';
import { fakeHost, type TestHost } from './host.ts';

/** Is what the upstream answers: default 200, no headers, no body. */
export interface UpstreamAnswer {
  readonly status?: number;
  readonly headers?: HeaderInput;
  readonly body?: string | Uint8Array;
}

/** Sets a plugin up. */
export interface PluginOptions<Config> {
  /** As the gateway hands it over: checked and with defaults. See `readConfig`. */
  readonly config: Config;
  readonly host?: TestHost;
  /** What a throw that is no GatewayError does, as the manifest says. Default closed. */
  readonly failPolicy?: 'closed' | 'open';
}

/** Describes one exchange. */
export interface RunOptions {
  readonly request?: ExchangeOptions;
  /** The answer, or a function of the exchange (a GatewayError thrown in it is a failed upstream). */
  readonly upstream?: UpstreamAnswer | ((exchange: TestExchange) => UpstreamAnswer);
}

/** Is what the client got, and how. */
export interface RunResult {
  readonly status: number;
  readonly headers: HeaderFields;
  readonly body: string;
  /** The exchange afterwards: `exchange.request` and `exchange.body` are what the upstream got. */
  readonly exchange: TestExchange;
  readonly reachedUpstream: boolean;
  /** The last thing a hook (or the upstream) threw. */
  readonly error: unknown;
}

/** Is a plugin after its set-up. */
export interface RunningPlugin {
  readonly host: TestHost;
  /** Runs one exchange to its end. */
  send(options?: RunOptions): Promise<RunResult>;
  /** Runs the plugin's `close`. */
  close(): Promise<void>;
}

/** Sets a plugin up once, to send it several requests: for what it remembers between them. */
export async function startPlugin<Config, State>(
  plugin: Plugin<Config, State>,
  options: PluginOptions<Config>,
): Promise<RunningPlugin> {
  const { config, host = fakeHost(), failPolicy = 'closed' } = options;
  // A plugin without setup has no state: State is undefined then.
  const state = (await plugin.setup?.(config, host)) as State;
  return {
    host,
    send: (run = {}) => runExchange({ plugin, config, state, isOpen: failPolicy === 'open' }, run),
    close: async () => plugin.close?.(state),
  };
}

/** Sets a plugin up, runs one exchange through all its hooks and closes it. */
export async function runPlugin<Config, State>(
  plugin: Plugin<Config, State>,
  options: PluginOptions<Config> & RunOptions,
): Promise<RunResult> {
  const running = await startPlugin(plugin, options);
  try {
    return await running.send(options);
  } finally {
    await running.close();
  }
}

interface Step<Config, State> {
  readonly plugin: Plugin<Config, State>;
  readonly config: Config;
  readonly state: State;
  readonly isOpen: boolean;
}

async function runExchange<Config, State>(step: Step<Config, State>, options: RunOptions): Promise<RunResult> {
  const { plugin, config, state } = step;
  const exchange = fakeExchange(options.request);
  let reachedUpstream = false;
  let answered: unknown;
  let error: unknown;
  // Gives false when the walk must end with the answer in `answered`.
  const attempt = async (hook: () => unknown): Promise<boolean> => {
    const before = exchange.answer;
    try {
      await hook();
      if (exchange.answer !== before) answered = exchange.answer?.body;
    } catch (thrown) {
      error = thrown;
      if (step.isOpen && !(thrown instanceof GatewayError)) return true;
      answered = answerError(exchange, thrown);
    }
    return exchange.answer === before;
  };

  const isWalking =
    (await attempt(() => plugin.onRequest?.(exchange, config, state))) &&
    (await attempt(() => plugin.onUpstreamRequest?.(exchange, config, state)));
  let body: Uint8Array = new Uint8Array();
  if (isWalking) {
    await attempt(() => {
      const sent = plugin.onRequestChunk?.(exchange.body, true, exchange, config, state);
      if (sent !== undefined) exchange.body = sent ?? new Uint8Array();
      reachedUpstream = true;
      const answer = typeof options.upstream === 'function' ? options.upstream(exchange) : (options.upstream ?? {});
      exchange.response = fakeResponse({ status: answer.status ?? 200, headers: answer.headers ?? {} });
      body = bytesOf(answer.body);
    });
  }
  await attempt(() => plugin.onResponse?.(exchange, config, state));
  if (answered instanceof Uint8Array) body = answered;
  else body = plugin.onResponseChunk?.(body, true, exchange, config, state) ?? body;
  const response = exchange.response ?? fakeResponse({ status: 500 });
  exchange.outcome = { ...exchange.outcome, responseBytes: body.byteLength, tries: reachedUpstream ? 1 : 0 };
  try {
    plugin.onLog?.(exchange, config, state);
  } catch (thrown) {
    error = thrown;
  }
  const { status, headers } = response;
  return { status, headers, body: Buffer.from(body).toString(), exchange, reachedUpstream, error };
}

function answerError(exchange: TestExchange, thrown: unknown): Uint8Array | undefined {
  const isCoded = thrown instanceof GatewayError;
  const code: ErrorCode = isCoded ? thrown.code : 'PLUGIN_FAILED';
  const { status, title } = ERRORS[code];
  const problem = { type: 'about:blank', title, status, code, ...(isCoded && { detail: thrown.message }) };
  const headers = isCoded ? thrown.headers : {};
  exchange.respond(status, { 'content-type': 'application/problem+json', ...headers }, JSON.stringify(problem));
  exchange.outcome = { ...exchange.outcome, errorCode: code };
  return exchange.answer?.body;
}
