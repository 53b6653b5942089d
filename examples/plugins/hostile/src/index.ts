// Misbehaves as its configuration or a request says. Everything else about it is proper, so that it gets as far as it can.
import { definePlugin, type Exchange, type Host, type Plugin } from 'sallyport/plugin';
import type { Config } from './config.ts';
import { findMisbehaviour, type Scene } from './misbehaviours.ts';

interface State {
  readonly host: Host;
}

export const plugin: Plugin<Config, State> = definePlugin<Config, State>({
  setup(config, host) {
    if (config.at === 'setup') void findMisbehaviour(config.misbehaviour)({ host, exchange: undefined });
    return { host };
  },

  onRequest: (exchange, config, { host }) => run('onRequest', config, { host, exchange }),

  onResponse(exchange, config, { host }) {
    exchange.response?.headers.set('x-hostile', 'was here');
    return run('onResponse', config, { host, exchange });
  },
});

async function runAsync(work: unknown): Promise<void> {
  await work;
}

function run(at: Config['at'], config: Config, scene: Scene & { readonly exchange: Exchange }): Promise<void> | void {
  if (config.at !== at) return;
  const name = scene.exchange.request.headers.get('x-misbehave') ?? config.misbehaviour;
  const work = findMisbehaviour(name)(scene);
  if (work instanceof Promise) return runAsync(work);
}
