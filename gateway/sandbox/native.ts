// A plugin in this very process, behind its grants: for what the platform itself has signed.
// Must not be used for code that nobody vouches for: grants bind what it does to exchanges, nothing binds the rest.
import { register } from 'node:module';
import type { HookName, Manifest } from '../core/manifest.ts';
import type { Exchange, Host, MaybePromise, Plugin } from '../core/plugin.ts';
import { DeniedError } from './grants.ts';
import { GuardedExchange } from './guard.ts';
import type { Incident } from './keeper.ts';
import { guardHost, type Lender } from './lending.ts';

/** Begins the URL of a package's code on a stack; its name, an @ and its version follow. */
export const PACKAGE_URL = 'sallyport-package:';

/** Is a plugin's module. */
interface PluginModule {
  readonly plugin?: Plugin<unknown, unknown>;
  readonly migrate?: (config: unknown, fromVersion: number) => unknown;
}

/** Is what a native plugin is made of. */
export interface NativeOptions {
  readonly code: string;
  readonly manifest: Manifest;
  readonly lender: Lender;
  onIncident(incident: Incident): void;
}

/** Is a plugin that runs here. */
export interface Native {
  readonly plugin: Plugin<unknown, unknown>;
  readonly migrate: ((config: unknown, fromVersion: number) => Promise<unknown>) | undefined;
}

/** Imports a plugin into this process. @throws Error when it does not load, or lacks a hook */
export async function openNative({ code, manifest, lender, onIncident }: NativeOptions): Promise<Native> {
  shareContract();
  // Who looks at a stack sees whose code it is.
  const named = `${code}\n//# sourceURL=${PACKAGE_URL}${manifest.name}@${manifest.version}`;
  const module: PluginModule = await import(`data:text/javascript;base64,${Buffer.from(named).toString('base64')}`);
  const { plugin, migrate } = module;
  if (!plugin) throw new TypeError('expected index.js to export plugin');
  checkHooks(plugin, manifest.hooks);
  const hooks = manifest.hooks.map(
    (hook) => [hook, guardHook({ plugin, hook, lender, onIncident, manifest })] as const,
  );
  return {
    plugin: {
      setup: (config: unknown, host: Host) => plugin.setup?.(config, guardHost(lender, host)),
      close: (state: unknown) => plugin.close?.(state),
      ...Object.fromEntries(hooks),
    },
    migrate: migrate && (async (config, fromVersion) => migrate(config, fromVersion)),
  };
}

function checkHooks(plugin: Plugin<unknown, unknown>, hooks: readonly HookName[]): void {
  for (const hook of hooks) {
    if (typeof plugin[hook] !== 'function') throw new TypeError(`expected the hook ${hook} of its manifest`);
  }
  const other = Object.keys(plugin).find((key) => key.startsWith('on') && !(hooks as readonly string[]).includes(key));
  if (other !== undefined) throw new TypeError(`${other} is not in its manifest's hooks`);
}

type AnyHook = (...values: readonly unknown[]) => MaybePromise<unknown>;

function guardHook(parts: {
  readonly plugin: Plugin<unknown, unknown>;
  readonly hook: HookName;
  readonly lender: Lender;
  readonly manifest: Manifest;
  readonly onIncident: (incident: Incident) => void;
}): AnyHook {
  const { plugin, hook, lender, manifest, onIncident } = parts;
  const run = (plugin[hook] as AnyHook).bind(plugin);
  const isChunk = hook.endsWith('Chunk');
  const side = hook === 'onRequestChunk' ? 'request' : 'response';
  const find = manifest.hooks.length > 1 ? findGuarded : makeGuarded;
  const finish = (guarded: GuardedExchange, result: unknown): unknown => {
    if (isChunk && result !== undefined && !guarded.grants[side].canWriteBody) guarded.deny(`write the ${side} body`);
    if (guarded.denied) throw guarded.denied;
    return result;
  };
  const raise = (error: unknown): never => {
    if (error instanceof DeniedError) onIncident({ kind: 'denied', message: error.message, hook });
    throw error;
  };
  const guard = (exchange: Exchange, call: (guarded: GuardedExchange) => unknown): unknown => {
    const guarded = find(exchange, lender);
    guarded.denied = undefined;
    try {
      const result = call(guarded);
      if (!(result instanceof Promise)) return finish(guarded, result);
      return result.then((value) => finish(guarded, value)).catch(raise);
    } catch (error) {
      return raise(error);
    }
  };
  if (isChunk) {
    return (chunk, last, exchange, config, state) =>
      guard(exchange as Exchange, (guarded) => run(chunk, last, guarded, config, state));
  }
  return (exchange, config, state) => guard(exchange as Exchange, (guarded) => run(guarded, config, state));
}

/** A plugin of several hooks may know an exchange again by its object. */
const known = new WeakMap<Lender, WeakMap<Exchange, GuardedExchange>>();

function findGuarded(exchange: Exchange, lender: Lender): GuardedExchange {
  const mine = known.get(lender) ?? new WeakMap<Exchange, GuardedExchange>();
  known.set(lender, mine);
  const guarded = mine.get(exchange) ?? makeGuarded(exchange, lender);
  mine.set(exchange, guarded);
  return guarded;
}

function makeGuarded(exchange: Exchange, { grants }: Lender): GuardedExchange {
  return new GuardedExchange(exchange, grants);
}

let isShared = false;

/** Makes `sallyport/plugin` resolve in code that has no place on disk. */
function shareContract(): void {
  if (isShared) return;
  isShared = true;
  const url = JSON.stringify(new URL('../core/plugin.js', import.meta.url).href);
  const hook = `export const resolve = (name, context, next) =>
  name === 'sallyport/plugin' ? { url: ${url}, shortCircuit: true } : next(name, context);`;
  register(`data:text/javascript,${encodeURIComponent(hook)}`);
}
