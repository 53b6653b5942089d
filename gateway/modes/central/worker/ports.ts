// The ports of a worker: everything the core needs, implemented for a process that has a keeper.
// Must not hold an implementation that another mode could use too.

import type { FetchOptions, FetchResult } from '../../../core/plugin.ts';
import type { Clock, Ports } from '../../../core/ports.ts';
import { createUpstreamClient, type HttpUpstreamClient } from '../../../http/upstream/client.ts';
import { createLimits } from '../../../limits/lease-client.ts';
import type { LimitsKeeperMessage } from '../../../limits/messages.ts';
import { createClock } from '../../../ops/clock.ts';
import { createFetcher } from '../../../ops/fetch.ts';
import { createIdSource } from '../../../ops/ids.ts';
import { createLog, type Log } from '../../../ops/log.ts';
import { createMetrics, type MetricsRegistry } from '../../../ops/metrics.ts';
import { createRecorder } from '../../../ops/recorder.ts';
import { type GateOrder, IsolateGate } from '../../../sandbox/isolate/gate.ts';
import { createDirectoryClient } from '../../../sources/directory/client.ts';
import type { DirectoryMessage } from '../../../sources/directory/messages.ts';
import type { PartsMessage } from '../messages.ts';
import type { NodeSettings } from '../settings.ts';

/** Is the ports of a worker with what its process needs beside them. */
export interface WorkerPorts extends Ports {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: MetricsRegistry;
  readonly upstream: HttpUpstreamClient;
  readonly isolates: IsolateGate;
  fetch(url: string, options?: FetchOptions): Promise<FetchResult>;
  /** Takes a message of the keeper for limits, credentials or isolates. */
  hear(message: PartsMessage): void;
  /** Runs what was registered for SIGHUP. */
  reopen(): void;
  close(): Promise<void>;
}

/** Makes the ports of this worker process. */
export function createWorkerPorts(settings: NodeSettings, send: (message: PartsMessage) => void): WorkerPorts {
  const clock = createClock();
  const log = createLog({ level: settings.logLevel, fields: { process: 'worker' } });
  const upstream = createUpstreamClient();
  const fetcher = createFetcher();
  const limits = createLimits({
    clock,
    workers: settings.workers,
    hasRedis: settings.hasRedis,
    send: (body) => send({ channel: 'limits', body }),
  });
  const consumers = createDirectoryClient({ clock, send: (body) => send({ channel: 'directory', body }) });
  const isolates = new IsolateGate((body) => send({ channel: 'isolates', body }));
  const recorder = createRecorder(clock, (body) => send({ channel: 'recorded', body }));
  const reopenCallbacks = new Set<() => void>();

  return {
    clock,
    log,
    metrics: createMetrics(),
    limits,
    consumers,
    upstream,
    isolates,
    recorder,
    nextId: createIdSource(),
    fetch: fetcher.fetch,
    onReopen(callback) {
      reopenCallbacks.add(callback);
      return () => void reopenCallbacks.delete(callback);
    },
    hear(message) {
      // Only our keeper writes to this channel; what it sends is what the messages.ts of each part says.
      if (message.channel === 'limits') limits.onMessage(message.body as LimitsKeeperMessage);
      else if (message.channel === 'isolates') isolates.take(message.body as GateOrder);
      else consumers.onMessage(message.body as DirectoryMessage);
    },
    reopen() {
      for (const callback of reopenCallbacks) callback();
    },
    async close() {
      limits.close();
      consumers.close();
      recorder.close();
      await Promise.all([upstream.close(), fetcher.close()]);
    },
  };
}
