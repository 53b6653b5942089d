// Adds a greeting header to every response: the plugin to copy when you write your own.
// Must stay this short; docs/write-a-plugin.md walks through it line by line.
import { definePlugin, type Plugin } from 'sallyport/plugin';

/** Mirrors config.schema.json. The gateway checks the configuration and fills in the defaults before `setup` sees it. */
export interface Config {
  readonly greeting: string;
}

/** Is what `setup` makes once, so that no request has to make it again. Every hook gets it as its last argument. */
interface State {
  readonly forStrangers: string;
}

/** Greets the consumer by name, or the world. */
export const plugin: Plugin<Config, State> = definePlugin<Config, State>({
  // Runs once per binding and configuration. A throw here refuses the change; traffic goes on as before.
  setup: (config) => ({ forStrangers: `${config.greeting}, world` }),

  // Runs when there is a response, the upstream's or the gateway's own. No promise is given, so none is waited for.
  onResponse({ consumer, response }, config, state) {
    response?.headers.set('x-hello', consumer ? `${config.greeting}, ${consumer.username}` : state.forStrangers);
  },
});
