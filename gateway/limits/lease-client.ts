// The Limits port of a worker: counts of this node by leases, counts of all nodes by the shared store.
// Must not count anything itself.
import type { Limits } from '../core/plugin.ts';
import { LeaseWorker } from './lease-worker.ts';
import type { LimitsOptions, WorkerLimits } from './options.ts';
import { SharedClient } from './shared-client.ts';

/** Makes a worker's limits. `limiter` throws for a store that this node does not have, which refuses the revision. */
export function createLimits(options: LimitsOptions): WorkerLimits {
  const leases = new LeaseWorker(options);
  const shared = new SharedClient(options);

  function limiter(wanted: Parameters<Limits['limiter']>[0]): ReturnType<Limits['limiter']> {
    if (wanted.store === 'local') return leases.limiter(wanted);
    if (wanted.store !== 'redis') throw new Error(`there is no store "${wanted.store}" for limits`);
    if (!options.hasRedis) throw new Error('store "redis" needs SALLYPORT_REDIS_URL, which is not set on this node');
    return shared.limiter(wanted);
  }

  return {
    limiter,
    onMessage(message) {
      leases.onMessage(message);
      if (message.sharedAnswers) shared.onAnswers(message.sharedAnswers);
    },
    close() {
      leases.close();
      shared.close();
    },
  };
}
