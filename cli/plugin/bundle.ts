// Bundles a plugin, or its tests, into one ESM file each.
// Must not load esbuild before it is needed: no other command needs it.
import { builtinModules } from 'node:module';
import type { BuildFailure, BuildOptions, BuildResult, Message, Plugin } from 'esbuild';
import { CommandError } from '../output.ts';

/** Is a plugin in one file. */
export interface Bundle {
  readonly code: string;
  /** Files of the project that it was made of, from its folder, with forward slashes. */
  readonly inputs: readonly string[];
}

/** Bundles again and again, each time only what changed. */
export interface Bundler {
  /** @throws CommandError with each fault and its place. */
  build(): Promise<Bundle>;
  close(): Promise<void>;
}

/** Says that a plugin does not compile; every fault is a line `file:line:column: text`. */
export class BundleError extends CommandError {}

/** Names the module that every plugin begins at. */
export const ENTRY = 'src/index.ts';

/** What a plugin may import besides its own files; the gateway lends it. */
const CONTRACT = 'sallyport/plugin';
const KIT = 'sallyport/testing';

/** Bundles the project at `folder` as it is packed. @throws BundleError */
export async function bundlePlugin(folder: string): Promise<Bundle> {
  const { build } = await import('esbuild');
  return toBundle(await describeFailure(() => build(pluginOptions(folder))));
}

/** Opens a bundler of the project at `folder`. */
export async function openBundler(folder: string): Promise<Bundler> {
  const { context } = await import('esbuild');
  const bundling = await context(pluginOptions(folder));
  return {
    build: async () => toBundle(await describeFailure(() => bundling.rebuild())),
    close: () => bundling.dispose(),
  };
}

/** Bundles test files into `outdir`, each as `NAME.mjs`. @throws BundleError */
export async function bundleTests(folder: string, files: readonly string[], outdir: string): Promise<void> {
  const { build } = await import('esbuild');
  await describeFailure(() =>
    build({
      ...COMMON,
      absWorkingDir: folder,
      entryPoints: [...files],
      outbase: folder,
      outdir,
      outExtension: { '.js': '.mjs' },
      platform: 'node',
      packages: 'external',
      sourcemap: 'inline',
      plugins: [lendContract()],
    }),
  );
}

const COMMON: BuildOptions = {
  bundle: true,
  format: 'esm',
  target: 'es2023',
  charset: 'utf8',
  legalComments: 'none',
  logLevel: 'silent',
  // Not the project's: the same sources must give the same bytes under every tsconfig.json.
  tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true, target: 'es2023' } },
};

function pluginOptions(folder: string) {
  return {
    ...COMMON,
    absWorkingDir: folder,
    entryPoints: [ENTRY],
    outfile: 'index.js',
    write: false,
    metafile: true,
    platform: 'neutral',
    mainFields: ['module', 'main'],
    external: [CONTRACT],
    plugins: [refuseBuiltins()],
  } satisfies BuildOptions;
}

/** Points the contract and the kit at this gateway's own files, so that both sides mean the same classes. */
function lendContract(): Plugin {
  const urls: Readonly<Record<string, string>> = {
    [CONTRACT]: new URL('../../gateway/core/plugin.js', import.meta.url).href,
    [KIT]: new URL('../../gateway/testing.js', import.meta.url).href,
  };
  return {
    name: 'lend-contract',
    setup(build) {
      build.onResolve({ filter: /^sallyport\/(plugin|testing)$/ }, ({ path }) => ({
        path: urls[path] ?? path,
        external: true,
      }));
    },
  };
}

/** Says why a module of Node is refused: where plugins of the marketplace run, there is none. */
function refuseBuiltins(): Plugin {
  const builtins = new Set(builtinModules);
  return {
    name: 'refuse-builtins',
    setup(build) {
      build.onResolve({ filter: /^[^./]/ }, ({ path }) => {
        if (!path.startsWith('node:') && !builtins.has(path)) return undefined;
        return {
          errors: [
            {
              text: `${path} is a module of Node, and a plugin has none where it runs: take what the exchange and host lend`,
            },
          ],
        };
      });
    },
  };
}

function toBundle(result: BuildResult<{ readonly metafile: true; readonly write: false }>): Bundle {
  return { code: result.outputFiles[0]?.text ?? '', inputs: Object.keys(result.metafile.inputs).sort() };
}

async function describeFailure<T>(build: () => Promise<T>): Promise<T> {
  try {
    return await build();
  } catch (error) {
    if (!isBuildFailure(error)) throw error;
    throw new BundleError(error.errors.map(describeMessage).join('\n'));
  }
}

function isBuildFailure(error: unknown): error is BuildFailure {
  return error instanceof Error && 'errors' in error && Array.isArray(error.errors);
}

function describeMessage({ location, text }: Message): string {
  return location ? `${location.file}:${location.line}:${location.column + 1}: ${text}` : text;
}
