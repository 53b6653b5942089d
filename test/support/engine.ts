// A gateway in this process: real engine, real listener, real upstream client; only time, logs and identities are the test's.
// Must not be used for what needs processes: gateway.ts starts those.
import { randomUUID } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { createEngine, type Engine } from '../../gateway/core/engine.ts';
import type { FailPolicy } from '../../gateway/core/manifest.ts';
import type { Change } from '../../gateway/core/model.ts';
import type { LoadedPlugin } from '../../gateway/core/pipeline.ts';
import type { CredentialFinder, Logger, Plugin, Stage } from '../../gateway/core/plugin.ts';
import type { Ports } from '../../gateway/core/ports.ts';
import type { PluginSource } from '../../gateway/core/setup/source.ts';
import { createListener, type HttpListener } from '../../gateway/http/listener.ts';
import { createUpstreamClient, type HttpUpstreamClient } from '../../gateway/http/upstream/client.ts';
import { WireTally } from '../../gateway/http/wire-tally.ts';
import { createLocalLimits } from '../../gateway/limits/local-limits.ts';
import { createMetrics } from '../../gateway/ops/metrics.ts';

/** Is a log line that the gateway wrote. */
export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Is a running gateway. */
export interface TestGateway {
  readonly url: string;
  readonly port: number;
  readonly engine: Engine;
  readonly listener: HttpListener;
  readonly upstream: HttpUpstreamClient;
  readonly tally: WireTally;
  readonly log: readonly LogLine[];
  /** What plugins registered for SIGHUP and did not take back. */
  readonly reopeners: ReadonlySet<() => void>;
  /** Applies changes as the next revision; throws when they are refused. */
  apply(changes: readonly Change[]): Promise<void>;
  drain(): Promise<void>;
  close(): Promise<void>;
}

/** Is what a test may choose. */
export interface TestGatewayOptions {
  readonly plugins?: readonly LoadedPlugin[];
  readonly installs?: PluginSource;
  readonly consumers?: CredentialFinder;
  readonly trustedProxies?: readonly string[];
  readonly headerTimeoutMs?: number;
  readonly bodyIdleMs?: number;
  readonly keepAliveMs?: number;
  readonly maxConnectionsPerIp?: number;
}

/** Starts a gateway on a free port, without configuration. */
export async function startGateway(options: TestGatewayOptions = {}): Promise<TestGateway> {
  const log: LogLine[] = [];
  const reopeners = new Set<() => void>();
  const ports = buildPorts(log, reopeners, options);
  const plugins = new Map((options.plugins ?? []).map((plugin) => [plugin.manifest.name, plugin]));
  const { installs, trustedProxies = [] } = options;
  const engine = createEngine({ ports, plugins, trustedProxies, ...(installs && { installs }) });
  const tally = new WireTally();
  const listener = createListener({
    host: '127.0.0.1',
    port: 0,
    limits: {
      maxConnections: 1000,
      maxConnectionsPerIp: options.maxConnectionsPerIp ?? 0,
      headerTimeoutMs: options.headerTimeoutMs ?? 10_000,
      keepAliveMs: options.keepAliveMs ?? 60_000,
      bodyIdleMs: options.bodyIdleMs ?? 10_000,
    },
    handler: engine.handle,
    tally,
  });
  const { port } = await listener.listen();
  let revision = 0;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    engine,
    listener,
    upstream: ports.upstream,
    tally,
    log,
    reopeners,
    async apply(changes) {
      revision++;
      const prepared = await engine.prepare({ revision, isReset: false, changes });
      if (!prepared.ok) throw new Error(JSON.stringify(prepared.problems));
      prepared.commit();
    },
    drain: () => listener.drain(),
    async close() {
      await listener.close();
      await engine.close();
      await ports.upstream.close();
    },
  };
}

/** Makes ports of which only time, logs and identities are the test's. */
export function buildPorts(
  lines: LogLine[],
  reopeners: Set<() => void>,
  options: TestGatewayOptions,
): Ports & { readonly upstream: HttpUpstreamClient } {
  const write =
    (level: string) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      lines.push({ level, message, fields });
    };
  const log: Logger = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
  const clock = { wallMs: () => Date.now(), monotonicMs: () => performance.now() };
  return {
    clock,
    log,
    metrics: createMetrics(),
    limits: createLocalLimits({ clock }),
    consumers: options.consumers ?? { findByCredential: () => undefined },
    upstream: createUpstreamClient(),
    nextId: () => randomUUID(),
    fetch: () => Promise.reject(new Error('no network in this test')),
    onReopen(callback) {
      reopeners.add(callback);
      return () => void reopeners.delete(callback);
    },
  };
}

/** Wraps hooks as an installed plugin. */
export function makePlugin(
  name: string,
  plugin: Plugin<unknown, unknown>,
  manifest: { readonly stage?: Stage; readonly failPolicy?: FailPolicy; readonly timeoutMs?: number } = {},
): LoadedPlugin {
  return {
    plugin,
    configSchema: { type: 'object' },
    manifest: {
      name,
      version: '1.0.0',
      title: name,
      summary: name,
      stage: manifest.stage ?? 'transform',
      hooks: [],
      scopes: ['global', 'api', 'route', 'consumer', 'group'],
      failPolicy: manifest.failPolicy ?? 'closed',
      limits: { timeoutMs: manifest.timeoutMs ?? 1_000, memoryMb: 32 },
      permissions: {},
      engines: { gateway: '^1.0.0' },
    },
  };
}

/** Is a raw connection to a gateway. */
export interface RawClient {
  readonly socket: Socket;
  write(bytes: string): void;
  /** Everything received so far. */
  text(): string;
  /** Resolves when `pattern` was received, or rejects when the connection ended before. */
  waitFor(pattern: RegExp): Promise<string>;
  /** Resolves with everything received when the peer has closed; `hadReset` tells a reset from an end. */
  closed(): Promise<{ readonly text: string; readonly hadReset: boolean }>;
}

/** Connects to a port without speaking HTTP. `isHalfOpen`: it goes on when the peer ends. */
export async function openRaw(port: number, isHalfOpen = false): Promise<RawClient> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  let received = '';
  let hadReset = false;
  let isClosed = false;
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1');
    socket.emit('progress');
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    hadReset ||= error.code === 'ECONNRESET' || error.code === 'EPIPE';
  });
  socket.on('end', () => {
    // A reset right behind bytes looks like an end; to write nothing tells.
    if (!isHalfOpen) socket.write('', () => socket.end());
  });
  socket.on('close', () => {
    isClosed = true;
    socket.emit('progress');
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  const until = (isDone: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (!isDone()) return;
        socket.off('progress', look);
        resolve();
      };
      socket.on('progress', look);
      look();
    });
  return {
    socket,
    write: (bytes) => {
      socket.write(bytes, 'latin1');
    },
    text: () => received,
    async waitFor(pattern) {
      await until(() => isClosed || pattern.test(received));
      if (!pattern.test(received)) throw new Error(`the connection closed after ${JSON.stringify(received)}`);
      return received;
    },
    async closed() {
      await until(() => isClosed);
      return { text: received, hadReset };
    },
  };
}
