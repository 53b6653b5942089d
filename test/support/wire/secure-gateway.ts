// A gateway in this process with a port that speaks TLS, and clients that speak it.
// Must not choose what is tested: certificates and apis are the test's.
import { once } from 'node:events';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { createEngine, type Engine, type Prepared } from '../../../gateway/core/engine.ts';
import { buildTrustTest } from '../../../gateway/core/exchange/client.ts';
import type { Change } from '../../../gateway/core/model.ts';
import { createListener } from '../../../gateway/http/listener.ts';
import { createSecureFront, type SecureFront } from '../../../gateway/http/tls/secure-front.ts';
import { createMetrics } from '../../../gateway/ops/metrics.ts';
import { buildPorts, type LogLine, type TestGatewayOptions } from '../engine.ts';

/** Is what a test may choose. */
export interface SecureGatewayOptions extends TestGatewayOptions {
  readonly handshakeTimeoutMs?: number;
  readonly maxHandshakes?: number;
  /** Who begins connections with a PROXY header. */
  readonly proxyProtocolFrom?: readonly string[];
  /** Milliseconds since the Unix epoch, for the judging of client certificates. */
  readonly wallMs?: () => number;
}

/** Is a running gateway with two ports. */
export interface SecureGateway {
  readonly port: number;
  readonly tlsPort: number;
  readonly engine: Engine;
  readonly front: SecureFront;
  readonly log: readonly LogLine[];
  /** Applies changes as the next revision; throws when they are refused. */
  apply(changes: readonly Change[]): Promise<void>;
  /** Prepares changes as the next revision, and commits them when they are good. */
  tryApply(changes: readonly Change[]): Promise<Prepared>;
  /** Counts handshakes that ended so. */
  handshakes(result: string): number;
  close(): Promise<void>;
}

/** Starts a gateway on free ports, without configuration. */
export async function startSecureGateway(options: SecureGatewayOptions = {}): Promise<SecureGateway> {
  const log: LogLine[] = [];
  const metrics = createMetrics();
  const built = buildPorts(log, new Set(), options);
  const clock = { ...built.clock, ...(options.wallMs && { wallMs: options.wallMs }) };
  const ports = { ...built, metrics, clock };
  const front = createSecureFront({
    alpn: ['h2', 'http/1.1'],
    metrics,
    ...(options.handshakeTimeoutMs === undefined ? {} : { timeoutMs: options.handshakeTimeoutMs }),
    ...(options.maxHandshakes === undefined ? {} : { maxPending: options.maxHandshakes }),
  });
  const plugins = new Map((options.plugins ?? []).map((plugin) => [plugin.manifest.name, plugin]));
  const engine = createEngine({ ports, plugins, trustedProxies: options.trustedProxies ?? [], wire: front.hosts });
  const common = {
    host: '127.0.0.1',
    port: 0,
    limits: { maxConnections: 1000, headerTimeoutMs: options.headerTimeoutMs ?? 10_000, keepAliveMs: 60_000 },
    handler: engine.handle,
    ...(options.proxyProtocolFrom && { speaksForOthers: buildTrustTest(options.proxyProtocolFrom) }),
  };
  const plain = createListener(common);
  const secure = createListener({ ...common, handshakes: front.handshakes });
  const [{ port }, { port: tlsPort }] = [await plain.listen(), await secure.listen()];
  let revision = 0;
  const tryApply = async (changes: readonly Change[]): Promise<Prepared> => {
    revision++;
    const prepared = await engine.prepare({ revision, isReset: false, changes });
    if (prepared.ok) prepared.commit();
    return prepared;
  };
  return {
    port,
    tlsPort,
    engine,
    front,
    log,
    tryApply,
    async apply(changes) {
      const prepared = await tryApply(changes);
      if (!prepared.ok) throw new Error(JSON.stringify(prepared.problems));
    },
    handshakes(result) {
      const family = [...metrics.exportMetrics()].find(({ name }) => name === 'sallyport_tls_handshakes_total');
      const series = family?.series.find(({ labels }) => labels[0] === result);
      return Number(series && 'value' in series ? series.value : 0);
    },
    async close() {
      await Promise.all([plain.close(), secure.close()]);
      front.close();
      await engine.close();
      await ports.upstream.close();
    },
  };
}

/** Is a client's connection after its handshake. */
export interface SecureClient {
  readonly socket: TLSSocket;
  /** Asks for a path of a host and gives the whole answer; the connection is kept. */
  ask(host: string, path?: string, headers?: Readonly<Record<string, string>>): Promise<SecureAnswer>;
  /** Gives the next session that the gateway hands out. */
  readonly session: Promise<Buffer>;
  close(): void;
}

/** Is an answer. */
export interface SecureAnswer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** Connects and shakes hands; rejects with what the gateway says against it. */
export async function openSecure(port: number, options: ConnectionOptions = {}): Promise<SecureClient> {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  const session = new Promise<Buffer>((resolve) => socket.once('session', resolve));
  await once(socket, 'secureConnect');
  socket.on('error', () => undefined);
  let received = '';
  let tell = (): void => undefined;
  socket.on('data', (bytes: Buffer) => {
    received += bytes.toString('latin1');
    tell();
  });
  socket.on('close', () => tell());
  const next = (): Promise<void> =>
    new Promise((resolve) => {
      tell = resolve;
    });
  return {
    socket,
    session,
    async ask(host, path = '/', headers = {}) {
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${lines.join('')}\r\n`);
      for (;;) {
        const answer = readAnswer(received);
        if (answer) {
          received = received.slice(answer.length);
          return answer;
        }
        if (socket.destroyed) throw new Error(`the connection closed after ${JSON.stringify(received)}`);
        await next();
      }
    },
    close: () => socket.destroy(),
  };
}

function readAnswer(text: string): (SecureAnswer & { readonly length: number }) | undefined {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const head = text.slice(0, end);
  const size = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
  const length = end + 4 + size;
  if (text.length < length) return undefined;
  return { status: Number(head.slice(9, 12)), head, body: text.slice(end + 4, length), length };
}
