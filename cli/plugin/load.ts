// Runs a bundle of a plugin under development in this process.
// Must not be used for code that this machine's user did not write.
import type { LoadedPlugin } from '../../gateway/core/pipeline.ts';
import { checkHandler, PluginError } from '../../gateway/loader.ts';
import { CommandError } from '../output.ts';
import type { PluginProject } from './project.ts';

// A module is kept by its address, so each load needs one of its own; or a plugin's module state would outlive a reload.
let loads = 0;

/** Imports a bundle that `openBundler` made. @throws CommandError when it does not load or its hooks are not the manifest's. */
export async function loadBundle(project: PluginProject, code: string): Promise<LoadedPlugin> {
  const { manifest, configSchema } = project;
  const text = `${code}\n//# sourceURL=${manifest.name}/index.js?${++loads}\n`;
  try {
    const module: { readonly plugin?: unknown } = await import(
      `data:text/javascript;base64,${Buffer.from(text).toString('base64')}`
    );
    return { manifest, configSchema, plugin: checkHandler(manifest, module.plugin) };
  } catch (error) {
    if (error instanceof PluginError) throw new CommandError(error.message);
    throw new CommandError(`src/index.ts does not load: ${error instanceof Error ? error.message : String(error)}`);
  }
}
