// Reads manifests and loads plugin code: the one place that import()s a handler.
// Must not decide which plugins run, nor in which order.
import { readdir, readFile } from 'node:fs/promises';
import { register } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { readManifest } from './core/config.ts';
import { ConfigError } from './core/errors.ts';
import { fitsEngine, type InstalledPlugin, type Manifest } from './core/manifest.ts';
import type { LoadedPlugin } from './core/pipeline.ts';
import { CONTRACT_VERSION, type Plugin } from './core/plugin.ts';
import type { JsonSchema } from './core/schemas.ts';
import { buildValidator } from './core/validate.ts';

/** Names the folder of the built-in plugins. */
export const BUILT_IN_PLUGINS: string = join(dirname(dirname(fileURLToPath(import.meta.url))), 'plugins');

/** Says what is wrong with which plugin: a fault of its author or of the installation, not of the gateway. */
export class PluginError extends Error {
  override readonly name = 'PluginError';
}

interface PluginFolder {
  readonly path: string;
  readonly plugin: InstalledPlugin;
}

/**
 * Reads manifest.json and config.schema.json of every plugin folder in `dirs`; runs no plugin code.
 * @throws PluginError naming the folder when one is broken, or when two folders claim one name.
 */
export async function readManifests(dirs: readonly string[]): Promise<ReadonlyMap<string, InstalledPlugin>> {
  const folders = await readFolders(dirs);
  return new Map([...folders].map(([name, folder]) => [name, folder.plugin]));
}

/**
 * Reads manifests and imports the handlers. `sallyport/plugin` resolves to this gateway's contract in every folder.
 * @throws PluginError naming the folder when a handler does not load or lacks a hook its manifest declares.
 */
export async function loadPlugins(dirs: readonly string[]): Promise<ReadonlyMap<string, LoadedPlugin>> {
  if (dirs.some((dir) => resolve(dir) !== BUILT_IN_PLUGINS)) shareContract();
  const folders = await readFolders(dirs);
  const loaded = [...folders].map(async ([name, folder]): Promise<[string, LoadedPlugin]> => {
    return [name, { ...folder.plugin, plugin: await importHandler(folder) }];
  });
  return new Map(await Promise.all(loaded));
}

async function readFolders(dirs: readonly string[]): Promise<Map<string, PluginFolder>> {
  const folders = new Map<string, PluginFolder>();
  for (const dir of new Set(dirs.map((one) => resolve(one)))) {
    const entries = await readdir(dir, { withFileTypes: true }).catch((cause: Error) => {
      throw new PluginError(`SALLYPORT_PLUGIN_DIRS: ${dir} cannot be read: ${cause.message}`, { cause });
    });
    for (const entry of entries.filter((one) => one.isDirectory()).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(dir, entry.name);
      const plugin = await readFolder(path);
      const { name } = plugin.manifest;
      if (name !== entry.name) throw new PluginError(`plugin folder ${path}: expected the folder to be named ${name}`);
      const other = folders.get(name);
      if (other) throw new PluginError(`plugin ${name} is installed twice: ${other.path} and ${path}`);
      folders.set(name, { path, plugin });
    }
  }
  return folders;
}

async function readFolder(path: string): Promise<InstalledPlugin> {
  try {
    const manifest = readManifest(JSON.parse(await readFile(join(path, 'manifest.json'), 'utf8')));
    const configSchema: JsonSchema = JSON.parse(await readFile(join(path, 'config.schema.json'), 'utf8'));
    buildValidator(configSchema);
    checkEngine(manifest.engines.gateway);
    return { manifest, configSchema };
  } catch (error) {
    const reason = error instanceof ConfigError || error instanceof Error ? error.message : String(error);
    throw new PluginError(`plugin folder ${path}: ${reason}`, { cause: error });
  }
}

function checkEngine(range: string): void {
  if (!fitsEngine(range, CONTRACT_VERSION)) {
    throw new Error(`needs plugin contract ${range}, this gateway has ${CONTRACT_VERSION}`);
  }
}

async function importHandler({ path, plugin }: PluginFolder): Promise<Plugin<unknown, unknown>> {
  try {
    const module: { readonly plugin?: unknown } = await import(pathToFileURL(join(path, 'handler.js')).href);
    return checkHandler(plugin.manifest, module.plugin);
  } catch (error) {
    throw new PluginError(`plugin folder ${path}: ${describeLoadFault(path, error)}`, { cause: error });
  }
}

/** Gives the plugin that a module exports. @throws Error when it exports none, or other hooks than its manifest declares. */
function checkHandler({ hooks }: Manifest, plugin: unknown): Plugin<unknown, unknown> {
  if (typeof plugin !== 'object' || plugin === null) throw new Error('expected its module to export plugin');
  const exported: Readonly<Record<string, unknown>> = { ...plugin };
  const declared = new Set<string>(hooks);
  for (const key of Object.keys(exported)) {
    if (key.startsWith('on') && !declared.has(key)) throw new Error(`${key} is not in its manifest's hooks`);
  }
  for (const hook of hooks) {
    if (typeof exported[hook] !== 'function') throw new Error(`expected the hook ${hook} of its manifest`);
  }
  return plugin;
}

/** Says in one line what went wrong and, where the stack tells, in which file and line of the folder. */
function describeLoadFault(path: string, error: unknown): string {
  if (!(error instanceof Error)) return `handler.js: it throws ${String(error)}`;
  const [reason = ''] = error.message.split('\n');
  const root = `${pathToFileURL(path).href}/`;
  const [, after = ''] = (error.stack ?? '').split(root, 2);
  const [, file, line] = /^([^\s()]+?):(\d+)/.exec(after) ?? [];
  if (file !== undefined) return `${decodeURI(file)}:${line}: ${reason}`;
  // Node keeps to itself where a module does not parse.
  if (error instanceof SyntaxError) return `handler.js, or a file that it imports, does not parse: ${reason}`;
  return `handler.js: ${reason}`;
}

/** Makes `sallyport/plugin` and `sallyport/testing` resolve in folders outside of this package. */
function shareContract(): void {
  const names = { 'sallyport/plugin': './core/plugin.js', 'sallyport/testing': './testing.js' };
  const urls = Object.fromEntries(
    Object.entries(names).map(([name, path]) => [name, new URL(path, import.meta.url).href]),
  );
  const hook = `const urls = ${JSON.stringify(urls)};
export function resolve(name, context, next) { return urls[name] ? { url: urls[name], shortCircuit: true } : next(name, context); }`;
  register(`data:text/javascript,${encodeURIComponent(hook)}`);
}
