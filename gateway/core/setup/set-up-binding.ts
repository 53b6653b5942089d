// Sets up one plugin on one binding, within bounds of time.
// Must not decide what becomes of a binding whose set-up fails.
import { Quarantine } from '../hooks/quarantine.ts';
import type { Binding } from '../model.ts';
import type { Instance, LoadedPlugin, Loan } from '../pipeline.ts';
import { buildCondition } from '../routing/match.ts';

/** Longest that a plugin may take to set up one binding. */
const SETUP_TIMEOUT_MS = 10_000;

/** Is what a set-up is made of. */
export interface BindingParts {
  readonly binding: Binding;
  readonly plugin: LoadedPlugin;
  readonly config: Binding['config'];
  /** What the binding ran on until now. */
  readonly known: Instance | undefined;
  readonly loan: Loan;
  /** Default 10 seconds. */
  readonly timeoutMs?: number;
}

/** Sets up one binding. @throws what the plugin throws, or Error when it takes too long; then nothing stays lent */
export async function setUpBinding(parts: BindingParts): Promise<Instance> {
  const { binding, plugin, config, known, loan, timeoutMs = SETUP_TIMEOUT_MS } = parts;
  plugin.lease?.take();
  try {
    const state = plugin.plugin.setup?.(config, loan.host);
    return {
      binding,
      plugin,
      config,
      state: state instanceof Promise ? await withinTime(plugin, state, timeoutMs) : state,
      // What a binding costs is counted over its changes of configuration.
      stats: known?.stats ?? { calls: 0, errors: 0, timeouts: 0, totalMs: 0 },
      when: binding.when && buildCondition(binding.when),
      loan,
      quarantine: new Quarantine(plugin.manifest.hooks.length),
      previous: undefined,
      holders: 0,
    };
  } catch (error) {
    loan.end();
    plugin.lease?.release();
    throw error;
  }
}

function withinTime({ plugin }: LoadedPlugin, setUp: Promise<unknown>, timeoutMs: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`set-up took longer than ${timeoutMs} ms`));
      // Nobody waits for it any more; what it opens all the same must not stay open.
      setUp.then((state) => plugin.close?.(state)).catch(() => undefined);
    }, timeoutMs);
    setUp.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
