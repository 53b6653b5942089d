// Which hooks run for a route and a consumer, and in which order.
// Must not run any.
import type { HookName } from '../manifest.ts';
import type { Instance } from '../pipeline.ts';
import type { Exchange, MaybePromise } from '../plugin.ts';

type Hook = (exchange: Exchange, config: unknown, state: unknown) => MaybePromise<void>;
type ChunkHook = (
  chunk: Uint8Array,
  last: boolean,
  exchange: Exchange,
  config: unknown,
  state: unknown,
) => MaybePromise<Uint8Array | null | undefined>;

/** Is one hook of one instance. `position` is the instance's place in the chain. */
export interface Step {
  readonly instance: Instance;
  /** What is installed there: the instance itself, or what it is the version before of. */
  readonly installed: Instance;
  readonly position: number;
  readonly hook: HookName;
  readonly run: Hook;
}

/** Is one chunk hook of one instance. */
export interface ChunkStep {
  readonly instance: Instance;
  readonly installed: Instance;
  readonly position: number;
  readonly hook: HookName;
  readonly run: ChunkHook;
}

/** Is every hook that runs for a route and a consumer. A hook that no plugin declares costs nothing. */
export interface Chain {
  readonly request: readonly Step[];
  /** Index in `request` of the first step after stage protect, and after stage authenticate. */
  readonly protectEnd: number;
  readonly authenticateEnd: number;
  readonly requestChunk: readonly ChunkStep[];
  readonly upstream: readonly Step[];
  /** In reverse order, as are `responseChunk` and `log`. */
  readonly response: readonly Step[];
  readonly responseChunk: readonly ChunkStep[];
  readonly log: readonly Step[];
}

/** Is the chain in which nothing runs. */
export const EMPTY_CHAIN: Chain = {
  request: [],
  protectEnd: 0,
  authenticateEnd: 0,
  requestChunk: [],
  upstream: [],
  response: [],
  responseChunk: [],
  log: [],
};

/** Builds a chain from instances in the order in which they run. */
export function buildChain(instances: readonly Instance[]): Chain {
  const request = listSteps(instances, 'onRequest');
  const endOf = (stages: readonly string[]): number =>
    request.filter((step) => stages.includes(step.instance.plugin.manifest.stage)).length;
  return {
    request,
    protectEnd: endOf(['observe', 'protect']),
    authenticateEnd: endOf(['observe', 'protect', 'authenticate']),
    requestChunk: listChunkSteps(instances, 'onRequestChunk'),
    upstream: listSteps(instances, 'onUpstreamRequest'),
    response: listSteps(instances, 'onResponse').reverse(),
    responseChunk: listChunkSteps(instances, 'onResponseChunk').reverse(),
    log: listSteps(instances, 'onLog').reverse(),
  };
}

function listSteps(
  instances: readonly Instance[],
  name: 'onRequest' | 'onUpstreamRequest' | 'onResponse' | 'onLog',
): Step[] {
  return instances.flatMap((installed, position) =>
    listVersions(installed).flatMap((instance) => {
      const hook = instance.plugin.plugin[name];
      return hook ? [{ instance, installed, position, hook: name, run: hook.bind(instance.plugin.plugin) }] : [];
    }),
  );
}

function listChunkSteps(instances: readonly Instance[], name: 'onRequestChunk' | 'onResponseChunk'): ChunkStep[] {
  return instances.flatMap((installed, position) =>
    listVersions(installed).flatMap((instance) => {
      const hook = instance.plugin.plugin[name];
      return hook ? [{ instance, installed, position, hook: name, run: hook.bind(instance.plugin.plugin) }] : [];
    }),
  );
}

/** At one place of the chain: of two versions, each exchange runs one. */
function listVersions(installed: Instance): readonly Instance[] {
  const before = installed.previous?.instance;
  return before ? [installed, before] : [installed];
}
