// Puts a bundle of a plugin under development to work, behind the permissions of its own manifest.
// Must not grant more than the manifest asks for: who installs it will not either.
import type { LoadedPlugin } from '../../gateway/core/pipeline.ts';
import type { Logger } from '../../gateway/core/plugin.ts';
import { openSandbox, type Tier } from '../../gateway/sandbox/sandbox.ts';
import { CommandError } from '../output.ts';
import type { PluginProject } from './project.ts';

/** Is a plugin at work. */
export interface OpenPlugin {
  readonly loaded: LoadedPlugin;
  /** Lets go of its process, if it has one. */
  close(): Promise<void>;
}

/** Says how a plugin is run. */
export interface LoadOptions {
  readonly tier: Tier;
  readonly secrets: Readonly<Record<string, string>>;
  readonly log: Logger;
}

// A module is kept by its text, so each load needs one of its own; or a plugin's module state would outlive a reload.
let loads = 0;

/** Loads a bundle. @throws CommandError when it does not load or its hooks are not the manifest's. */
export async function loadBundle(project: PluginProject, code: string, options: LoadOptions): Promise<OpenPlugin> {
  const { manifest, configSchema } = project;
  try {
    const sandbox = await openSandbox({
      ...options,
      code: `${code}\n//# sourceURL=${manifest.name}/index.js?${++loads}\n`,
      manifest,
      granted: manifest.permissions,
    });
    return { loaded: { manifest, configSchema, plugin: sandbox.plugin }, close: () => sandbox.close() };
  } catch (error) {
    throw new CommandError(`the plugin does not load: ${error instanceof Error ? error.message : String(error)}`);
  }
}
