// What the gateway lends a binding, from its set-up to its close.
// Must not lend what a plugin was not granted: for packages, the sandbox stands before it.
import type { Binding } from '../model.ts';
import type { Loan } from '../pipeline.ts';
import type { Ports } from '../ports.ts';
import { buildKeyValues, NO_SECRETS } from './memory.ts';

/** Lends a binding its host. */
export function lend(binding: Binding, ports: Ports): Loan {
  const offs: (() => void)[] = [];
  let hasEnded = false;
  return {
    host: {
      binding: { id: binding.id, plugin: binding.plugin, name: binding.name },
      clock: ports.clock,
      log: ports.log,
      metrics: ports.metrics,
      limits: ports.limits,
      secrets: NO_SECRETS,
      kv: buildKeyValues(ports.clock),
      fetch: ports.fetch,
      onReopen(callback) {
        if (!hasEnded) offs.push(ports.onReopen(callback));
      },
    },
    end() {
      hasEnded = true;
      for (const off of offs.splice(0)) off();
    },
  };
}
