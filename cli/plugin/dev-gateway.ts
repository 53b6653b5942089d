// A gateway in this process for one plugin under development: the real engine and the real listener.
// Must not read a configuration from anywhere: one api, one binding.
import { createEngine, type Engine } from '../../gateway/core/engine.ts';
import type { Api, Binding } from '../../gateway/core/model.ts';
import type { LoadedPlugin } from '../../gateway/core/pipeline.ts';
import type { Logger } from '../../gateway/core/plugin.ts';
import type { Ports } from '../../gateway/core/ports.ts';
import { createListener } from '../../gateway/http/listener.ts';
import { createUpstreamClient } from '../../gateway/http/upstream/client.ts';
import { createLocalLimits } from '../../gateway/limits/local-limits.ts';
import { createFetcher } from '../../gateway/ops/fetch.ts';
import { createIdSource } from '../../gateway/ops/ids.ts';
import { createMetrics } from '../../gateway/ops/metrics.ts';
import { CommandError } from '../output.ts';
import type { ListenAddress } from '../setting-parsers.ts';

/** Is a gateway with at most one plugin. */
export interface DevGateway {
  readonly url: string;
  /** Puts a plugin in the place of the one before; requests in flight end on the old one. @throws CommandError when it refuses. */
  run(plugin: LoadedPlugin, config: unknown): Promise<void>;
  close(): Promise<void>;
}

/** Says where it listens and what is behind it. */
export interface DevGatewayOptions {
  readonly listen: ListenAddress;
  readonly upstream: string;
  readonly log: Logger;
}

const EPOCH = '2026-01-01T00:00:00.000Z';
const STAMPS = { tags: [], createdAt: EPOCH, updatedAt: EPOCH };
const API_ID = '00000000-0000-4000-8000-0000000000a1';
const ROUTE_ID = '00000000-0000-4000-8000-0000000000a2';
const BINDING_ID = '00000000-0000-4000-8000-0000000000b1';
/** A person with a terminal, or a script, not a crowd. */
const MAX_CONNECTIONS = 1_000;

/** Starts the gateway. @throws CommandError when the address is taken. */
export async function startDevGateway({ listen, upstream, log }: DevGatewayOptions): Promise<DevGateway> {
  const fetcher = createFetcher();
  const ports = buildPorts(log, fetcher.fetch);
  let engine = createEngine({ ports, plugins: new Map(), trustedProxies: [] });
  const listener = createListener({
    ...listen,
    limits: { maxConnections: MAX_CONNECTIONS, headerTimeoutMs: 10_000, keepAliveMs: 65_000 },
    handler: (incoming, outgoing) => engine.handle(incoming, outgoing),
  });
  const { port } = await listener.listen().catch((error: NodeJS.ErrnoException) => {
    throw new CommandError(`--listen ${listen.host}:${listen.port}: ${error.code ?? error.message}`);
  });
  return {
    url: `http://${listen.host.includes(':') ? `[${listen.host}]` : listen.host}:${port}`,
    async run(plugin, config) {
      const next = await startEngine(ports, plugin, { config, upstream });
      const old = engine;
      engine = next;
      // It closes its set-up when the last request that began on it has ended.
      void old.close();
    },
    async close() {
      await listener.close();
      await engine.close();
      await ports.upstream.close();
      await fetcher.close();
    },
  };
}

async function startEngine(
  ports: Ports,
  plugin: LoadedPlugin,
  { config, upstream }: { readonly config: unknown; readonly upstream: string },
): Promise<Engine> {
  const { name } = plugin.manifest;
  const engine = createEngine({ ports, plugins: new Map([[name, plugin]]), trustedProxies: [] });
  const api = buildApi(upstream);
  const binding = buildBinding(name, config);
  const prepared = await engine.prepare({
    revision: 1,
    isReset: true,
    changes: [
      { kind: 'api', id: api.id, after: api },
      { kind: 'binding', id: binding.id, after: binding },
    ],
  });
  if (!prepared.ok) throw new CommandError(prepared.problems.map(({ message }) => message).join('\n'));
  prepared.commit();
  return engine;
}

function buildPorts(log: Logger, fetch: Ports['fetch']): Ports {
  const clock = { wallMs: () => Date.now(), monotonicMs: () => performance.now() };
  return {
    clock,
    log,
    fetch,
    metrics: createMetrics(),
    limits: createLocalLimits({ clock }),
    consumers: { findByCredential: () => undefined },
    upstream: createUpstreamClient(),
    nextId: createIdSource(),
    onReopen: () => () => undefined,
  };
}

function buildApi(upstream: string): Api {
  const anything = { hosts: [], paths: ['/'], methods: [], headers: {}, query: {} };
  return {
    ...STAMPS,
    id: API_ID,
    name: 'dev',
    upstream,
    routes: [{ id: ROUTE_ID, name: 'dev', ...anything, stripPath: false }],
    enabled: true,
    preserveHost: false,
    timeouts: { connectMs: 2_000, responseMs: 30_000, idleMs: 30_000 },
    retries: { attempts: 0 },
  };
}

function buildBinding(plugin: string, config: unknown): Binding {
  return {
    ...STAMPS,
    id: BINDING_ID,
    plugin,
    // Checked by the plugin's schema before it comes here.
    config: config as Binding['config'],
    scope: {},
    enabled: true,
    order: 0,
    effect: 'apply',
    mandatory: false,
  };
}
