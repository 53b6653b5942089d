// One api in a gateway of this process, and the closing of everything that a test opened.
// Must not choose what is tested: every default can be overridden.
import type { Api, Binding, Route, Upstream } from '../../gateway/core/model.ts';
import type { LoadedPlugin } from '../../gateway/core/pipeline.ts';
import { startGateway, type TestGateway, type TestGatewayOptions } from './engine.ts';
import { makeApi, makeBinding, makeRoute, putAll } from './entities.ts';

/** Says what is published, and in which gateway. */
export interface PublishOptions extends TestGatewayOptions {
  readonly api?: Partial<Api>;
  readonly route?: Partial<Route>;
  readonly upstreams?: readonly Upstream[];
  /** Configurations by plugin; {} for the others. */
  readonly configs?: Readonly<Record<string, Binding['config']>>;
}

/** Opens what a test needs, and closes it all again. */
export interface Stage {
  open<T extends { close(): Promise<void> }>(starting: Promise<T>): Promise<T>;
  /** Closes this with the rest, the last first. */
  keep(close: () => unknown): void;
  /** Starts a gateway with one api at `/` and a global binding of every plugin. */
  publish(upstream: string, options?: PublishOptions): Promise<TestGateway>;
  /** Starts it with one plugin. */
  publishWith(upstream: string, plugin: LoadedPlugin): Promise<TestGateway>;
  close(): Promise<void>;
}

/** Makes an empty stage. */
export function createStage(): Stage {
  const closers: (() => unknown)[] = [];
  const stage: Stage = {
    async open(starting) {
      const started = await starting;
      closers.push(() => started.close());
      return started;
    },
    keep: (close) => void closers.push(close),
    async publish(upstream, { api, route, upstreams = [], configs = {}, ...options } = {}) {
      const gateway = await stage.open(startGateway(options));
      const apis = [makeApi({ name: 'api', upstream, routes: [makeRoute({ paths: ['/'], ...route })], ...api })];
      const bindings = (options.plugins ?? []).map(({ manifest: { name } }) =>
        makeBinding({ plugin: name, config: configs[name] ?? {} }),
      );
      await gateway.apply(putAll({ upstreams, apis, bindings }));
      return gateway;
    },
    publishWith: (upstream, plugin) => stage.publish(upstream, { plugins: [plugin] }),
    async close() {
      for (const close of closers.splice(0).reverse()) await close();
    },
  };
  return stage;
}
