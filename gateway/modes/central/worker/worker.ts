// A worker: listener, engine and plugins in a process of its own, led by its keeper over IPC.
// Must not load a database driver or decide anything that concerns more than this process.
import cluster from 'node:cluster';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EntityProblem } from '../../../core/check.ts';
import { compileConfigSchemas } from '../../../core/config.ts';
import { createEngine, type Engine, type Prepared } from '../../../core/engine.ts';
import type { Problem } from '../../../core/errors.ts';
import { buildTrustTest } from '../../../core/exchange/client.ts';
import type { Change, Update } from '../../../core/model.ts';
import { inSlices } from '../../../core/slicer.ts';
import { createListener, type HttpListener, type ListenerOptions } from '../../../http/listener.ts';
import { flushLateWrites } from '../../../http/socket/late-writes.ts';
import { createSecureFront, type SecureFront } from '../../../http/tls/secure-front.ts';
import { WireTally } from '../../../http/wire-tally.ts';
import { BUILT_IN_PLUGINS, loadPlugins } from '../../../loader.ts';
import { startLoopMeter } from '../../../ops/loop-delay.ts';
import { openPackageFolder } from '../../../sources/packages/folder.ts';
import { createPackageSource } from '../../../sources/packages/source.ts';
import { type FailedStep, LAST_METRICS, type ToKeeper, type ToWorker, type UpdatePart } from '../messages.ts';
import { buildReport } from '../report.ts';
import type { NodeSettings } from '../settings.ts';
import { hearAilments } from './ailments.ts';
import { startCutter } from './cutter/cutter.ts';
import { listPluginFamilies } from './plugin-metrics.ts';
import { createWorkerPorts, type WorkerPorts } from './ports.ts';
import { listWireFamilies } from './wire-metrics.ts';

/** Protocols offered over TLS. */
const ALPN = ['h2', 'http/1.1'];
const BEAT_INTERVAL_MS = 1_000;
/** Plugin costs and target health change slowly and are read by people. */
const REPORT_INTERVAL_BEATS = 3;

/** Sends a message to the keeper; one that is gone does not hear it. */
type Send = (message: ToKeeper) => void;

/** Runs the worker side of a node in this process, until the keeper says drain or is gone. */
export function runWorker(): void {
  const send: Send = (message) => {
    if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
  };
  let part: WorkerProcess | undefined;

  process.on('message', (message: ToWorker) => {
    if (message.channel === 'start') {
      startProcess(message.settings, send).then(
        (started) => {
          part = started;
          send({ channel: 'started' });
        },
        (error: unknown) => failStart(error, send),
      );
    } else if (part !== undefined) part.hear(message);
    // Nothing was accepted yet, so there is nothing to finish.
    else if (message.channel === 'drain') process.exit(0);
  });
  // A signal to the whole group (a terminal's Ctrl-C, systemd) is the keeper's affair: it tells us when to drain.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
  process.on('SIGHUP', () => undefined);
  cluster.worker?.on('disconnect', () => {
    // Without this mark node:cluster would end the process at once, with requests in flight.
    if (cluster.worker !== undefined) cluster.worker.exitedAfterDisconnect = true;
    if (part === undefined) process.exit(0);
    part.drain();
  });
  send({ channel: 'booted' });
}

async function startProcess(settings: NodeSettings, send: Send): Promise<WorkerProcess> {
  const ports = createWorkerPorts(settings, send);
  const folders = [BUILT_IN_PLUGINS, ...settings.pluginDirs];
  const plugins = await loadPlugins(folders);
  await inSlices(compileConfigSchemas(plugins.values()));
  const front = createSecureFront({ alpn: ALPN, metrics: ports.metrics });
  const folder = openPackageFolder(join(settings.dataDir, 'plugins'));
  const installs = createPackageSource({ ...ports, folder, rootFile: settings.pluginRoot });
  const watch = startCutter({ log: ports.log, folders, send, goOn: flushLateWrites });
  const { trustedProxies } = settings;
  const engine = createEngine({ ports, plugins, installs, trustedProxies, wire: front.hosts, watch });
  hearAilments(ports.log, send);
  return new WorkerProcess({ settings, ports, engine, front, send });
}

function failStart(error: unknown, send: Send): void {
  const message = error instanceof Error ? error.message : String(error);
  send({ channel: 'failed', step: 'start', code: codeOf(error), message });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'FAILED';
}

interface WorkerParts {
  readonly settings: NodeSettings;
  readonly ports: WorkerPorts;
  readonly engine: Engine;
  readonly front: SecureFront;
  readonly send: Send;
}

/** Says which listener could not be opened. */
class ListenFailure extends Error {
  readonly step: FailedStep;

  constructor(step: FailedStep, cause: unknown) {
    super('cannot listen', { cause });
    this.step = step;
  }
}

/** Owns listeners and engine, and does what the keeper says. */
class WorkerProcess {
  readonly #parts: WorkerParts;
  readonly #beat: NodeJS.Timeout;
  readonly #loopMeter = startLoopMeter();
  #beats = 0;
  #changes: Change[] = [];
  #prepared: Prepared | undefined;
  readonly #listeners: HttpListener[] = [];
  readonly #tally = new WireTally();
  #isDraining = false;

  constructor(parts: WorkerParts) {
    this.#parts = parts;
    this.#beat = setInterval(() => this.#sendBeat(), BEAT_INTERVAL_MS);
  }

  hear(message: ToWorker): void {
    const { ports } = this.#parts;
    switch (message.channel) {
      case 'update':
        this.#takePart(message);
        break;
      case 'commit':
        this.#commit(message.revision);
        break;
      case 'discard':
        if (this.#prepared?.ok) this.#prepared.discard();
        this.#prepared = undefined;
        break;
      case 'listen':
        this.#listen(message);
        break;
      case 'tickets':
        this.#parts.front.hosts.setTicketSecret(Buffer.from(message.secret, 'base64'));
        break;
      case 'drain':
        this.drain();
        break;
      case 'aside':
        this.#parts.engine.setAside(message.order);
        break;
      case 'reopen':
        ports.reopen();
        break;
      case 'metrics':
        this.#sendMetrics(message.id).catch((error: unknown) => ports.log.warn('metrics were not sent', { error }));
        break;
      case 'start':
        break;
      default:
        ports.hear(message);
    }
  }

  /** Lets requests in flight finish within the drain time, then ends the process. */
  drain(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    const { ports } = this.#parts;
    this.#finish()
      .catch((error: unknown) => ports.log.error('draining failed', { error }))
      .finally(() => {
        ports.log.flush();
        process.exit(0);
      });
  }

  async #finish(): Promise<void> {
    const { settings, engine, front, ports } = this.#parts;
    const listeners = this.#listeners;
    if (listeners.length > 0) {
      const deadline = setTimeout(() => {
        ports.log.warn('requests were cut off: the drain time is over', { drainMs: settings.drainMs });
        for (const listener of listeners) listener.close().catch(() => undefined);
      }, settings.drainMs);
      await Promise.all(listeners.map((listener) => listener.drain())).finally(() => clearTimeout(deadline));
    }
    front.close();
    await engine.close();
    // The last counts, so that the sums of the node miss nothing.
    await this.#sendMetrics(LAST_METRICS);
    clearInterval(this.#beat);
    this.#loopMeter.close();
    await ports.close();
  }

  #takePart(part: UpdatePart): void {
    for (const change of part.changes) this.#changes.push(change);
    if (!part.isLast) return;
    const update: Update = { revision: part.revision, isReset: part.isReset, changes: this.#changes };
    this.#changes = [];
    this.#prepare(update).catch((error: unknown) => {
      const message = error instanceof Error ? error.message : String(error);
      const problems = [{ pointer: '', code: 'INTERNAL', message }];
      this.#parts.send({ channel: 'prepared', revision: update.revision, problems });
    });
  }

  async #prepare(update: Update): Promise<void> {
    const prepared = await this.#parts.engine.prepare(update);
    this.#prepared = prepared;
    const problems = prepared.ok ? [] : prepared.problems.slice(0, MAX_PROBLEMS).map(pointAbsolutely);
    this.#parts.send({ channel: 'prepared', revision: update.revision, problems });
  }

  #commit(revision: number): void {
    const prepared = this.#prepared;
    this.#prepared = undefined;
    // Without an answer the keeper replaces this worker: better than to say that a revision runs which does not.
    if (!prepared?.ok || prepared.revision !== revision) return;
    prepared.commit();
    this.#parts.send({ channel: 'committed', revision, installs: this.#parts.engine.installs() });
  }

  #listen(order: Extract<ToWorker, { readonly channel: 'listen' }>): void {
    if (this.#listeners.length > 0 || this.#isDraining) return;
    this.#openListeners(order).catch((error: unknown) => {
      const { step, cause } = error instanceof ListenFailure ? error : new ListenFailure('proxy', error);
      const message = cause instanceof Error ? cause.message : String(cause);
      this.#parts.send({ channel: 'failed', step, code: codeOf(cause), message });
    });
  }

  /** In the same order in every worker: node:cluster gives the free ports of a node by it. */
  async #openListeners({ port, tlsPort }: Extract<ToWorker, { readonly channel: 'listen' }>): Promise<void> {
    const { settings, front, send } = this.#parts;
    const plain = await this.#open('proxy', { host: settings.proxyListen.host, port });
    if (tlsPort === undefined || settings.proxyTlsListen === undefined) {
      send({ channel: 'listening', port: plain });
      return;
    }
    const { host } = settings.proxyTlsListen;
    const { handshakes } = front;
    send({
      channel: 'listening',
      port: plain,
      tlsPort: await this.#open('proxyTls', { host, port: tlsPort, handshakes }),
    });
  }

  async #open(step: FailedStep, where: Pick<ListenerOptions, 'host' | 'port' | 'handshakes'>): Promise<number> {
    const { settings, engine } = this.#parts;
    const { maxConnections, maxConnectionsPerIp, headersTimeoutMs, keepAliveMs, proxyProtocolFrom } = settings;
    const listener = createListener({
      ...where,
      limits: { maxConnections, maxConnectionsPerIp, headerTimeoutMs: headersTimeoutMs, keepAliveMs },
      handler: engine.handle,
      tally: this.#tally,
      ...(proxyProtocolFrom.length === 0 ? {} : { speaksForOthers: buildTrustTest(proxyProtocolFrom) }),
    });
    this.#listeners.push(listener);
    try {
      const { port } = await listener.listen();
      return port;
    } catch (error) {
      throw new ListenFailure(step, error);
    }
  }

  #sendBeat(): void {
    const { send, engine } = this.#parts;
    send({ channel: 'beat', loopDelayMs: this.#loopMeter.read(), rssBytes: process.memoryUsage.rss() });
    if (this.#beats++ % REPORT_INTERVAL_BEATS !== 0) return;
    const report = buildReport(engine.health(), engine.stats(), engine.canaries(), engine.shadows());
    send({ channel: 'report', report });
  }

  async #sendMetrics(id: number): Promise<void> {
    const { send, ports, engine } = this.#parts;
    for (const family of ports.metrics.exportMetrics()) {
      send({ channel: 'metrics', id, family });
      await nextTurn();
    }
    const clients = this.#listeners.map((listener) => listener.countConnections());
    const wire = listWireFamilies({ tally: this.#tally, clients, targets: ports.upstream.countConnections() });
    for (const family of [...wire, ...listPluginFamilies(engine.stats())]) send({ channel: 'metrics', id, family });
    send({ channel: 'metrics', id, family: null });
  }
}

/** Most problems of one refusal that travel; whoever reads them mends the first. */
const MAX_PROBLEMS = 100;

function pointAbsolutely({ kind, id, pointer, code, message }: EntityProblem): Problem {
  return { pointer: `/${kind}s/${id}${pointer}`, code, message };
}
