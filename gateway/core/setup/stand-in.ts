// What stands in for an installed plugin that does not run: a refusal, or nothing, as its fail policy says.
// Must not let a request pass that the plugin was to authenticate or authorize.
import { GatewayError } from '../errors.ts';
import type { Install } from '../model.ts';
import type { LoadedPlugin } from '../pipeline.ts';

/** Gives the plugin that refuses in the place of the one that does not run; undefined = requests go on without it. */
export function buildStandIn({ plugin: name, manifest, configSchema }: Install): LoadedPlugin | undefined {
  const guards = manifest.stage === 'authenticate' || manifest.stage === 'authorize';
  if (manifest.failPolicy === 'open' && !guards) return undefined;
  const refuse = (): never => {
    throw new GatewayError('PLUGIN_UNAVAILABLE', `plugin ${name} does not run here`);
  };
  return { manifest, configSchema, plugin: { onRequest: refuse } };
}
