// A gateway in which one version of a plugin runs in the shadow of another, both as hooks in this process.
// Must not say what comes of it.
import type { LoadedPlugin } from '../../../gateway/core/pipeline.ts';
import type { Plugin } from '../../../gateway/core/plugin.ts';
import type { ShadowFacts } from '../../../gateway/core/shadow/report.ts';
import { shadowPlugin } from '../../../gateway/core/shadow/shadow.ts';
import { makePlugin, startGateway, type TestGateway } from '../engine.ts';
import { makeApi, makeBinding, makeRoute, putAll } from '../entities.ts';
import { until } from '../until.ts';
import { type Origin, startOrigin } from '../wire/origin.ts';

/** Is hooks of a version. */
export type Hooks = Plugin<unknown, unknown>;

/** Is such a gateway. */
export interface ShadowedGateway {
  readonly gateway: TestGateway;
  readonly origin: Origin;
  /** Says which version is in the shadow. */
  readonly beside: { readonly version: string; isStopped: boolean };
  report(): ShadowFacts;
  /** Gives the report when so many exchanges were compared, skipped or dropped. */
  settled(exchanges: number): Promise<ShadowFacts>;
  /** Sends a request and reads the answer to its end. */
  ask(init?: RequestInit, path?: string): Promise<Response>;
  /** Sends requests to `/0`, `/1`, ... all at once. */
  askAll(count: number): Promise<readonly Response[]>;
  close(): Promise<void>;
}

/** Is what a test may choose. */
export interface ShadowedOptions {
  readonly percent?: number;
  readonly secrets?: readonly string[];
  /** Of the candidate's hooks. */
  readonly timeoutMs?: number;
}

/** Starts one: `installed` is 1.0.0, `candidate` 1.1.0, and every exchange is compared unless it is said otherwise. */
export async function startShadowed(
  installed: Hooks,
  candidate: Hooks,
  { percent = 100, secrets = [], timeoutMs = 1_000 }: ShadowedOptions = {},
): Promise<ShadowedGateway> {
  const origin = await startOrigin();
  const made = makePlugin('acme', candidate, { timeoutMs });
  const other: LoadedPlugin = { ...made, manifest: { ...made.manifest, version: '1.1.0' } };
  const joined = shadowPlugin({ installed: makePlugin('acme', installed), candidate: other, percent, secrets });
  const gateway = await startGateway({ plugins: [joined] });
  const routes = [makeRoute({ id: 'r-1', paths: ['/'] })];
  const apis = [makeApi({ id: 'a-1', name: 'api', upstream: origin.url, routes })];
  await gateway.apply(putAll({ apis, bindings: [makeBinding({ id: 'b-1', plugin: 'acme' })] }));
  const { report } = joined.shadow;
  const ask = async (init: RequestInit = {}, path = '/'): Promise<Response> => {
    const response = await fetch(`${gateway.url}${path}`, init);
    await response.arrayBuffer();
    return response;
  };
  return {
    ...{ gateway, origin, report, ask, beside: joined.beside },
    askAll: (count) => Promise.all(Array.from({ length: count }, (_, at) => ask({}, `/${at}`))),
    async settled(exchanges) {
      await until(() => {
        const { compared, skipped, dropped } = report();
        return compared + skipped + dropped === exchanges;
      });
      return report();
    },
    async close() {
      await gateway.close();
      await origin.close();
    },
  };
}

/** Makes hooks that write a version into each response. */
export function stamp(version: string): Hooks {
  return { onResponse: ({ response }) => response?.headers.set('x-version', version) };
}
