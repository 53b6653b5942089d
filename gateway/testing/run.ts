// Runs one plugin through whole exchanges: the core's own walk, between a client and an upstream made of memory.
// Must not decide anything that the gateway decides elsewhere.
import type { EngineContext } from '../core/engine.ts';
import { openRun } from '../core/exchange/receive.ts';
import { HookWatch } from '../core/hooks/watch.ts';
import { HOOK_NAMES, type Manifest } from '../core/manifest.ts';
import type { Api, Binding } from '../core/model.ts';
import type { LoadedPlugin } from '../core/pipeline.ts';
import { CONTRACT_VERSION, type Exchange, type HeaderFields, type Plugin } from '../core/plugin.ts';
import { closeInstances } from '../core/setup/instances.ts';
import { atOnce } from '../core/slicer.ts';
import { buildSnapshot, EMPTY_SNAPSHOT, type Snapshot } from '../core/snapshot.ts';
import { createUpstreams, type Upstreams } from '../core/upstream/upstreams.ts';
import { fakeConsumers } from './consumers.ts';
import { FAKE_API, FAKE_ID, FAKE_ROUTE, type RequestOptions, type TestExchange } from './exchange.ts';
import { fakeHost, type TestHost } from './host.ts';
import { fakeMetrics } from './metrics.ts';
import { fakeIncoming, fakeOutgoing, fakeUpstream, type SentRequest, type UpstreamScript } from './wire.ts';

/** Sets a plugin up. */
export interface PluginOptions<Config> {
  /** As the gateway hands it over: checked and with defaults. See `readConfig`. */
  readonly config: Config;
  readonly host?: TestHost;
  /** What matters of manifest.json; default stage transform, fails closed, 1 s per hook. */
  readonly manifest?: Partial<Manifest>;
  /** Names the api and the route of its exchanges; default `FAKE_API` and `FAKE_ROUTE`. */
  readonly api?: Exchange['api'];
  readonly route?: Exchange['route'];
}

/** Describes one exchange. */
export interface RunOptions {
  readonly request?: RequestOptions;
  readonly upstream?: UpstreamScript;
}

/** Is what the client got, and how. */
export interface RunResult {
  readonly status: number;
  readonly headers: HeaderFields;
  readonly body: string;
  readonly bytes: Uint8Array;
  /** The exchange after its end. */
  readonly exchange: TestExchange;
  /** What the upstream got last; undefined = it was not reached. */
  readonly sent: SentRequest | undefined;
  readonly reachedUpstream: boolean;
  /** The last thing that a hook threw. */
  readonly error: unknown;
}

/** Is a plugin after its set-up. */
export interface RunningPlugin {
  readonly host: TestHost;
  /** Runs one exchange to its end; several may be in flight. */
  send(options?: RunOptions): Promise<RunResult>;
  /** Runs the plugin's `close`. */
  close(): Promise<void>;
}

/** Sets a plugin up once, to send it several requests: for what it remembers between them. @throws what `setup` throws. */
export async function startPlugin<Config, State>(
  plugin: Plugin<Config, State>,
  options: PluginOptions<Config>,
): Promise<RunningPlugin> {
  const { config, host = fakeHost() } = options;
  const thrown = new WeakMap<object, unknown>();
  const loaded: LoadedPlugin = {
    manifest: { ...MANIFEST, ...options.manifest, name: host.binding.plugin, hooks: HOOK_NAMES },
    configSchema: {},
    plugin: watch(plugin, host, thrown),
  };
  const api = buildApi(options);
  const binding: Binding = {
    ...BINDING,
    id: host.binding.id,
    plugin: host.binding.plugin,
    config: config as Binding['config'],
  };
  const changes = [
    { kind: 'api', id: api.id, after: api },
    { kind: 'binding', id: binding.id, after: binding },
  ] as const;
  const update = { revision: 1, isReset: true, changes };
  const plugins = new Map([[loaded.manifest.name, loaded]]);
  const compiled = await buildSnapshot(update, EMPTY_SNAPSHOT, {
    plugins,
    lend: () => ({ host, end() {} }),
  });
  if (!compiled.ok) throw thrown.get(host) ?? new Error(compiled.problems.map(({ message }) => message).join('; '));
  const { snapshot } = compiled;
  const upstreams = createUpstreams(() => 0);
  atOnce(upstreams.prepare(snapshot.good.state)).commit();
  return {
    host,
    send: (run = {}) => send({ snapshot, upstreams, host, thrown }, run),
    close: () => closeInstances([...snapshot.instances.values()]),
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

interface Bench {
  readonly snapshot: Snapshot;
  readonly upstreams: Upstreams;
  readonly host: TestHost;
  readonly thrown: WeakMap<object, unknown>;
}

async function send({ snapshot, upstreams, host, thrown }: Bench, options: RunOptions): Promise<RunResult> {
  const { request = {}, upstream = {} } = options;
  let sent: SentRequest | undefined;
  const context: EngineContext = {
    upstreams,
    isTrusted: () => false,
    watch: new HookWatch(),
    lease: () => ({ snapshot, release() {} }),
    count() {},
    ports: {
      clock: host.clock,
      log: host.log,
      metrics: fakeMetrics(),
      limits: host.limits,
      consumers: request.consumers ?? fakeConsumers(),
      upstream: fakeUpstream(upstream, (got) => {
        sent = got;
      }),
      nextId: () => request.id ?? FAKE_ID,
      fetch: (url, fetchOptions) => host.fetch(url, fetchOptions),
      onReopen: () => () => undefined,
    },
  };
  const { outgoing, received } = fakeOutgoing();
  const run = openRun(context, fakeIncoming(request), outgoing);
  const { exchange } = run;
  if (request.identity) exchange.identify(request.identity);
  run.begin();
  const { status, headers, bytes } = await received;
  const body = Buffer.from(bytes).toString();
  return {
    status,
    headers,
    body,
    bytes,
    exchange,
    sent,
    reachedUpstream: sent !== undefined,
    error: thrown.get(exchange),
  };
}

/** Gives the plugin with every throw noted: at set-up under the host, in a hook under its exchange. */
function watch<Config, State>(
  plugin: Plugin<Config, State>,
  host: TestHost,
  thrown: WeakMap<object, unknown>,
): Plugin<unknown, unknown> {
  const watched: Record<string, unknown> = {};
  for (const name of ['setup', 'close', ...HOOK_NAMES] as const) {
    const hook = plugin[name] as ((...values: unknown[]) => unknown) | undefined;
    if (!hook) continue;
    watched[name] = (...values: unknown[]): unknown => {
      const subject = name === 'setup' ? host : values.find(isExchange);
      const note = (error: unknown): never => {
        if (subject) thrown.set(subject, error);
        throw error;
      };
      try {
        const result = hook.apply(plugin, values);
        return result instanceof Promise ? result.catch(note) : result;
      } catch (error) {
        return note(error);
      }
    };
  }
  return watched;
}

function isExchange(value: unknown): value is Exchange {
  return typeof value === 'object' && value !== null && 'respond' in value;
}

const EPOCH = '2026-01-01T00:00:00.000Z';
const STAMPS = { tags: [], createdAt: EPOCH, updatedAt: EPOCH };

const MANIFEST: Manifest = {
  name: 'test',
  version: '1.0.0',
  title: 'Test',
  summary: 'The plugin under test.',
  stage: 'transform',
  hooks: HOOK_NAMES,
  scopes: ['global', 'api', 'route', 'consumer', 'group'],
  failPolicy: 'closed',
  limits: { timeoutMs: 1_000, memoryMb: 32 },
  permissions: {},
  engines: { gateway: `^${CONTRACT_VERSION}` },
};

const BINDING: Omit<Binding, 'id' | 'plugin' | 'config'> = {
  ...STAMPS,
  scope: {},
  enabled: true,
  order: 0,
  effect: 'apply',
  mandatory: false,
};

function buildApi({ api = FAKE_API, route = FAKE_ROUTE }: Pick<PluginOptions<unknown>, 'api' | 'route'>): Api {
  return {
    ...STAMPS,
    ...api,
    upstream: 'http://upstream.test',
    routes: [{ ...route, hosts: [], paths: ['/'], methods: [], headers: {}, query: {}, stripPath: false }],
    enabled: true,
    preserveHost: false,
    timeouts: { connectMs: 1_000, responseMs: 1_000, idleMs: 1_000 },
    retries: { attempts: 0 },
  };
}
