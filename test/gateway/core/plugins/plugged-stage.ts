// A gateway with plugins of the test in front of an origin, and the closing of both.
// Must not hold a plugin.
import type { Binding } from '../../../../gateway/core/model.ts';
import type { LoadedPlugin } from '../../../../gateway/core/pipeline.ts';
import type { Plugin } from '../../../../gateway/core/plugin.ts';
import { startGateway, type TestGateway } from '../../../support/engine.ts';
import { makeApi, makeBinding, makeRoute, putAll } from '../../../support/entities.ts';
import { type Origin, startOrigin } from '../../../support/wire/origin.ts';

/** Is what a plugin does, as tests write it. */
export type Hooks = Plugin<unknown, unknown>;

/** Is an origin, and a gateway once one was started. */
export interface PluggedStage {
  readonly origin: Origin;
  /** Starts a gateway with the api `a-1` and these bindings; else every plugin is bound to everything. */
  start(plugins: readonly LoadedPlugin[], bindings?: readonly Binding[]): Promise<TestGateway>;
  /** Ends the gateway alone. */
  stop(): Promise<void>;
  close(): Promise<void>;
}

/** Starts the origin. */
export async function openPluggedStage(): Promise<PluggedStage> {
  const origin = await startOrigin();
  let gateway: TestGateway | undefined;
  const stop = async (): Promise<void> => {
    await gateway?.close();
    gateway = undefined;
  };
  return {
    origin,
    async start(plugins, bindings = plugins.map(({ manifest }) => makeBinding({ plugin: manifest.name }))) {
      gateway = await startGateway({ plugins });
      const routes = [makeRoute({ id: 'r-get', paths: ['/'], methods: ['GET', 'POST'] })];
      const api = makeApi({ id: 'a-1', name: 'api', upstream: origin.url, routes });
      await gateway.apply(putAll({ apis: [api], bindings }));
      return gateway;
    },
    stop,
    async close() {
      await stop();
      await origin.close();
    },
  };
}
