// The Limits port of a worker: counts of this node by leases, counts of all nodes by shared stores.
// Must not count anything itself.
import type { Limits } from '../core/plugin.ts';
import { LeaseWorker } from './lease-worker.ts';
import type { LimitsOptions, WorkerLimits } from './options.ts';
import { SharedClient } from './shared/client.ts';

/** Makes a worker's limits. `limiter` throws for a store that this node does not have, which refuses the revision. */
export function createLimits(options: LimitsOptions): WorkerLimits {
  const leases = new LeaseWorker(options);
  const shared = new SharedClient(options);

  function limiter(wanted: Parameters<Limits['limiter']>[0]): ReturnType<Limits['limiter']> {
    const { store } = wanted;
    if (store === 'local') return leases.limiter(wanted);
    if (store !== 'redis' && store !== 'postgres') throw new Error(`there is no store "${String(store)}" for limits`);
    if (store === 'redis' && !options.hasRedis) {
      throw new Error('store "redis" needs SALLYPORT_REDIS_URL, which is not set on this node');
    }
    return shared.limiter({ ...wanted, store });
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
