// The engine: takes requests, runs them on the current snapshot, swaps snapshots.
// Must not know where documents come from, nor the process it runs in.

import type { EntityProblem } from './check.ts';
import { buildTrustTest, type TrustTest } from './exchange/client.ts';
import { openRun } from './exchange/receive.ts';
import { type AsideOrder, obey } from './hooks/cut.ts';
import { type PreviousReport, reportPrevious } from './hooks/previous.ts';
import type { Incident } from './hooks/quarantine.ts';
import { HookWatch } from './hooks/watch.ts';
import { lend } from './lending/lend.ts';
import type { Binding, Certificate, Update } from './model.ts';
import type { LoadedPlugin, Loan } from './pipeline.ts';
import type { Counter } from './plugin.ts';
import type { Ports, RequestHandler } from './ports.ts';
import { closeInstances } from './setup/instances.ts';
import { closeRuns, type InstallReport, reportCanaries, reportRuns, reportShadows } from './setup/runs.ts';
import type { CanaryReport } from './setup/side-report.ts';
import type { PluginSource } from './setup/source.ts';
import type { ShadowReport } from './shadow/report.ts';
import { inSlices } from './slicer.ts';
import { buildSnapshot, EMPTY_SNAPSHOT, type Snapshot } from './snapshot.ts';
import type { ClientPolicies } from './tls/client-policies.ts';
import { createHealthChecker } from './upstream/health.ts';
import { createUpstreams, type Upstreams } from './upstream/upstreams.ts';

/** Is what an engine is made of. */
export interface EngineOptions {
  readonly ports: Ports;
  readonly plugins: ReadonlyMap<string, LoadedPlugin>;
  /** Loads installs; absent = none can run here. */
  readonly installs?: PluginSource;
  /** Addresses and CIDR ranges whose X-Forwarded-* are believed. */
  readonly trustedProxies: readonly string[];
  /** What the wire makes of a document; a revision that it refuses is refused. */
  readonly wire?: WireCompiler;
  /** Absent = nobody cuts a hook that does not return. */
  readonly watch?: HookWatch;
}

/** Prepares what a listener needs of a document, beside what it has. */
export interface WireCompiler {
  prepare(
    certificates: ReadonlyMap<string, Certificate>,
    policies: ClientPolicies,
  ): Promise<
    { readonly ok: true; commit(): void } | { readonly ok: false; readonly problems: readonly EntityProblem[] }
  >;
}

/** Is a revision compiled and ready, or refused. */
export type Prepared =
  | {
      readonly ok: true;
      readonly revision: number;
      /** Makes it the one that serves: one assignment. Requests in flight keep the one they began with. */
      commit(): void;
      /** Throws it away. */
      discard(): void;
    }
  | { readonly ok: false; readonly revision: number; readonly problems: readonly EntityProblem[] };

/** Is how one binding fared since the start. */
export interface BindingReport {
  readonly plugin: string;
  readonly binding: string;
  readonly calls: number;
  readonly errors: number;
  readonly timeouts: number;
  readonly totalMs: number;
  /** Says that it failed too often and does not run but to be tried. */
  readonly isAside: boolean;
  /** What put it aside last, also when it runs again. */
  readonly incident: Incident | undefined;
  /** What has its exchanges while it is aside; undefined = its fail policy is another than `previous`. */
  readonly previous: PreviousReport | undefined;
}

/** Is how one target fares. */
export interface TargetReport {
  readonly upstream: string;
  readonly host: string;
  readonly port: number;
  readonly isHealthy: boolean;
  readonly inFlight: number;
}

/** Runs requests through the pipeline. */
export interface Engine {
  readonly handle: RequestHandler;
  /** Revision that serves; 0 = none yet. */
  readonly revision: number;
  /**
   * Compiles an update beside the snapshot that serves; its changes apply on top of that one (not of a refused one).
   * One at a time. Never throws: a document that does not compile is refused whole, with every reason.
   */
  prepare(update: Update): Promise<Prepared>;
  /** Sets a binding aside whose hook was cut elsewhere. */
  setAside(order: AsideOrder): void;
  stats(): readonly BindingReport[];
  health(): readonly TargetReport[];
  /** Says what runs of each install, and why that is not what is wanted. */
  installs(): readonly InstallReport[];
  /** Says how versions on trial fare. */
  canaries(): readonly CanaryReport[];
  /** Says how versions in the shadow fare. */
  shadows(): readonly ShadowReport[];
  /** Closes every set-up. Call when no request is left. */
  close(): Promise<void>;
}

/** Keeps a snapshot until the last request that began on it has ended. */
export interface Lease {
  readonly snapshot: Snapshot;
  release(): void;
}

/** Is what a request needs of its engine. */
export interface EngineContext {
  readonly ports: Ports;
  readonly upstreams: Upstreams;
  readonly isTrusted: TrustTest;
  readonly watch: HookWatch;
  lease(): Lease;
  /** Counts a finished request by its status; 0 = none was sent. */
  count(status: number): void;
}

/** Counts the snapshots in use that share set-ups and runs of installs: most changes touch none. */
interface Holding extends Pick<Snapshot, 'instances' | 'runs'> {
  snapshots: number;
}

function hold({ instances, runs }: Snapshot, shared: Holding | undefined): Holding {
  if (shared?.instances === instances && shared.runs === runs && shared.snapshots > 0) {
    shared.snapshots++;
    return shared;
  }
  for (const instance of instances.values()) instance.holders++;
  for (const run of runs.values()) run.holders++;
  return { instances, runs, snapshots: 1 };
}

/**
 * Counts who uses a snapshot: the engine, until `end`, and every request on it. A set-up lives in many snapshots, of which a
 * slow request may hold an old one, so it is closed by the last that lets go.
 */
class Tenure implements Lease {
  readonly snapshot: Snapshot;
  readonly holding: Holding;
  #users = 1;
  #closing: Promise<void> = Promise.resolve();

  constructor(snapshot: Snapshot, previous?: Tenure) {
    this.snapshot = snapshot;
    this.holding = hold(snapshot, previous?.holding);
  }

  take(): Lease {
    this.#users++;
    return this;
  }

  release(): void {
    this.#users--;
    if (this.#users > 0) return;
    const { instances, runs } = this.holding;
    if (--this.holding.snapshots > 0) return;
    this.#closing = closeInstances([...instances.values()].filter((one) => --one.holders === 0));
    closeRuns([...runs.values()].filter((one) => --one.holders === 0));
  }

  /** Lets go on the engine's side; resolves when that has closed what it closes. Call once. */
  end(): Promise<void> {
    this.release();
    return this.#closing;
  }
}

/** Makes an engine; it answers NOT_CONFIGURED until the first revision is committed. */
export function createEngine(options: EngineOptions): Engine {
  const { ports, plugins } = options;
  const upstreams = createUpstreams(Math.random);
  const health = createHealthChecker({ upstreams, client: ports.upstream });
  let tenure = new Tenure(EMPTY_SNAPSHOT);

  const context: EngineContext = {
    ports,
    upstreams,
    isTrusted: buildTrustTest(options.trustedProxies),
    watch: options.watch ?? new HookWatch(),
    lease: () => tenure.take(),
    count: buildStatusCounter(ports),
  };
  const swap = (next: Tenure): void => {
    const old = tenure;
    tenure = next;
    void old.end();
  };

  return {
    handle: (incoming, outgoing) => openRun(context, incoming, outgoing).begin(),
    get revision() {
      return tenure.snapshot.revision;
    },
    async prepare(update) {
      const previous = tenure;
      const { revision } = update;
      const lendTo = (binding: Binding): Loan => lend(binding, ports);
      const { installs } = options;
      const compiled = await buildSnapshot(update, previous.snapshot, { plugins, installs, lend: lendTo });
      if (!compiled.ok) return { ok: false, revision, problems: compiled.problems };
      const { snapshot, touched } = compiled;
      const { clientPolicies, good } = snapshot;
      const wire = await options.wire?.prepare(good.state.certificates, clientPolicies);
      const next = new Tenure(snapshot, previous);
      if (wire && !wire.ok) {
        void next.end();
        return { ok: false, revision, problems: wire.problems };
      }
      const ids = update.isReset ? undefined : (touched.get('upstream') ?? new Set<string>());
      const nextUpstreams = await inSlices(upstreams.prepare(good.state, ids));
      return {
        ok: true,
        revision,
        commit() {
          nextUpstreams.commit();
          swap(next);
          wire?.commit();
          if (ids?.size !== 0 || touched.has('certificate')) health.update();
        },
        discard() {
          nextUpstreams.discard();
          void next.end();
        },
      };
    },
    setAside: (order) => obey(tenure.snapshot.instances.get(order.binding), order),
    stats: () =>
      [...tenure.snapshot.instances.values()].map((instance) => ({
        plugin: instance.binding.plugin,
        binding: instance.binding.id,
        ...instance.stats,
        isAside: instance.quarantine.isAside,
        incident: instance.quarantine.incident,
        previous: reportPrevious(instance),
      })),
    health: () => listHealth(upstreams, ports),
    installs: () => reportRuns(tenure.snapshot.runs),
    canaries: () => reportCanaries(tenure.snapshot.runs),
    shadows: () => reportShadows(tenure.snapshot.runs),
    async close() {
      health.close();
      await tenure.end();
    },
  };
}

function listHealth(upstreams: Upstreams, ports: Ports): readonly TargetReport[] {
  const nowMs = ports.clock.monotonicMs();
  return upstreams.listTargets().map(({ upstream, target }) => ({
    upstream,
    host: target.host,
    port: target.port,
    isHealthy: target.isPassingChecks !== false && target.ejectedUntilMs <= nowMs,
    inFlight: target.inFlight,
  }));
}

function buildStatusCounter(ports: Ports): (status: number) => void {
  const family = ports.metrics.counter('sallyport_requests_total', 'Requests answered, by class of status.', [
    'status',
  ]);
  const names = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'];
  const series: readonly Counter[] = names.map((name) => family.series(name));
  return (status) => series[Math.floor(status / 100)]?.add(1);
}
