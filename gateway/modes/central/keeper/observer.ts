// What a node shows of itself: readiness, metrics, the report to the control plane.
// Must not change anything it looks at.
import type { Clock } from '../../../core/ports.ts';
import type { InstallReport } from '../../../core/setup/runs.ts';
import { writeExposition } from '../../../ops/exposition.ts';
import { type LoopMeter, startLoopMeter } from '../../../ops/loop-delay.ts';
import type { Readiness } from '../../../ops/status.ts';
import type { ToKeeper } from '../messages.ts';
import { mergeInstalls, mergeReports, type NodeReport } from '../report.ts';
import type { NodeSettings } from '../settings.ts';
import type { NodeStatus } from './control-plane.ts';
import type { Cuts } from './cuts/cuts.ts';
import type { Fleet } from './fleet.ts';
import type { Member } from './member.ts';
import { listNodeFamilies } from './node-families.ts';
import { NodeMetrics } from './node-metrics.ts';
import type { Publisher } from './publisher.ts';

/** Is what an observer looks at. */
export interface ObserverOptions {
  readonly settings: NodeSettings;
  readonly clock: Clock;
  readonly fleet: Fleet;
  readonly publisher: Publisher<Member>;
  readonly cuts: Cuts;
}

/** Gathers what the keeper and its workers tell, and says it to whoever asks. */
export class Observer {
  /** Is where the document in force came from. */
  source: Readiness['source'] = 'none';
  rejectedSnapshots = 0;
  readonly #options: ObserverOptions;
  readonly #metrics = new NodeMetrics();
  readonly #reports = new Map<Member, NodeReport>();
  readonly #installs = new Map<Member, readonly InstallReport[]>();
  readonly #loopMeter: LoopMeter = startLoopMeter();
  #isInContact = false;
  #lastContactMs: number;

  constructor(options: ObserverOptions) {
    this.#options = options;
    this.#lastContactMs = options.clock.monotonicMs();
  }

  /** Notes whether the control plane answers. */
  takeContact(isInContact: boolean): void {
    if (this.#isInContact && !isInContact) this.#lastContactMs = this.#options.clock.monotonicMs();
    this.#isInContact = isInContact;
  }

  /** Notes that a copy of this age serves. */
  takeCopy(ageMs: number): void {
    this.#lastContactMs = this.#options.clock.monotonicMs() - ageMs;
  }

  /** Notes what a worker says of itself: what it costs, what runs of each install, what it counted. */
  hear(member: Member, message: Extract<ToKeeper, { readonly channel: 'committed' | 'report' | 'metrics' }>): void {
    if (message.channel === 'report') this.#reports.set(member, message.report);
    else if (message.channel === 'committed') this.#installs.set(member, message.installs);
    else this.#metrics.hear(member, message);
  }

  /** Forgets a worker that is gone; what it counted stays in the sums. */
  forget(member: Member): void {
    this.#metrics.retire(member);
    this.#reports.delete(member);
    this.#installs.delete(member);
  }

  readReadiness(isDraining: boolean): Readiness {
    const serving = this.#listServing().length;
    const { document } = this.#options.publisher;
    const isServing = serving > 0 && document !== undefined;
    const ageMs = this.#isInContact ? 0 : this.#options.clock.monotonicMs() - this.#lastContactMs;
    return {
      isReady: isServing && !isDraining,
      state: isDraining ? 'draining' : isServing ? 'serving' : 'starting',
      revision: document?.revision ?? null,
      source: this.source,
      ageSeconds: Math.round(ageMs / 1_000),
      workers: { wanted: this.#options.settings.workers, serving },
    };
  }

  /** Gives the report to the control plane. */
  buildStatus(): NodeStatus {
    const { refusal } = this.#options.publisher;
    return {
      ...this.#readRevisions(),
      refusal,
      workers: this.#listServing().map((member) => ({ pid: member.pid, revision: member.revision })),
      health: mergeReports(this.#reports.values()),
      plugins: mergeInstalls(this.#installs.values()).map((report) => this.#tellTier(report)),
    };
  }

  /** Gives the metrics of the whole node as Prometheus text. */
  async writeMetrics(): Promise<string> {
    const { settings, fleet } = this.#options;
    const counted = await this.#metrics.read(fleet.members);
    const { revision, offeredRevision } = this.#readRevisions();
    const serving = this.#listServing();
    const own = listNodeFamilies({
      nodeName: settings.nodeName,
      version: settings.version,
      servedRevision: revision,
      offeredRevision,
      rejectedSnapshots: this.rejectedSnapshots,
      workerDeaths: fleet.deaths,
      cuts: this.#options.cuts.counts,
      workersServing: serving.length,
      hasIsolatesOff: fleet.hasIsolatesOff,
      isFromDisk: this.source === 'disk',
      certificates: this.#options.publisher.document?.certificates.values() ?? [],
      processes: [
        { name: 'keeper', loopDelayMs: this.#loopMeter.read(), rssBytes: process.memoryUsage.rss() },
        ...serving.map(({ slot, loopDelayMs, rssBytes }) => ({ name: `worker-${slot}`, loopDelayMs, rssBytes })),
      ],
    });
    return writeExposition([...own, ...counted]);
  }

  close(): void {
    this.#loopMeter.close();
  }

  #readRevisions(): { readonly revision: number; readonly offeredRevision: number } {
    const { document, offeredRevision } = this.#options.publisher;
    const revision = document?.revision ?? 0;
    return { revision, offeredRevision: offeredRevision ?? revision };
  }

  /** Workers say where a package runs when a revision is in force; isolates may be off since, or on again. */
  #tellTier(report: InstallReport): InstallReport {
    return report.tier === 'isolate' && this.#options.fleet.hasIsolatesOff ? { ...report, tier: 'process' } : report;
  }

  #listServing(): readonly Member[] {
    return [...this.#options.fleet.members].filter((member) => member.state === 'serving');
  }
}
