// Runs a plugin under development: builds it, puts it behind a local gateway, and again at every save.
// Must not end for a fault of the plugin: the last version that worked goes on.
import { type FSWatcher, watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Logger } from '../../gateway/core/plugin.ts';
import { buildValidator } from '../../gateway/core/validate.ts';
import type { Tier } from '../../gateway/sandbox/sandbox.ts';
import { fixtureSecrets } from '../../gateway/testing.ts';
import { describeProblems } from '../admin-client.ts';
import { CommandError } from '../output.ts';
import type { ListenAddress } from '../setting-parsers.ts';
import { type Bundle, type Bundler, openBundler } from './bundle.ts';
import { type DevGateway, startDevGateway } from './dev-gateway.ts';
import { type Echo, startEcho } from './echo.ts';
import { loadBundle } from './load.ts';
import { type PluginProject, readProject } from './project.ts';
import { describeTrace, traceHooks } from './trace.ts';

/** Says what to run. */
export interface DevOptions {
  readonly folder: string;
  readonly listen: ListenAddress;
  /** Undefined = an echo of this process. */
  readonly upstream: string | undefined;
  /** JSON file with the binding's configuration; undefined = the schema's first example. */
  readonly configFile: string | undefined;
  readonly tier: Tier;
  /** By name; what is not here has the value that it has in fixtures. */
  readonly secrets: Readonly<Record<string, string>>;
  print(line: string): void;
}

/** Is a plugin under development, running. */
export interface DevSession {
  readonly url: string;
  close(): Promise<void>;
}

/** Editors write a file in several steps; what follows within this time is one save. */
const SETTLE_MS = 15;

/** Starts the gateway and watches the project. @throws CommandError when the address is taken. */
export async function startDev(options: DevOptions): Promise<DevSession> {
  const echo = options.upstream === undefined ? await startEcho() : undefined;
  const gateway = await startDevGateway({
    listen: options.listen,
    upstream: options.upstream ?? echo?.url ?? '',
    log: printLog(options.print),
  }).catch(async (error: unknown) => {
    await echo?.close();
    throw error;
  });
  const bundler = await openBundler(options.folder);
  const session = new Session({ options, gateway, bundler, echo });
  await session.reload();
  return { url: gateway.url, close: () => session.close() };
}

interface SessionParts {
  readonly options: DevOptions;
  readonly gateway: DevGateway;
  readonly bundler: Bundler;
  readonly echo: Echo | undefined;
}

/** Owns the watchers, and sees to it that one build runs at a time. */
class Session {
  readonly #parts: SessionParts;
  readonly #watchers = new Map<string, FSWatcher>();
  #settling: NodeJS.Timeout | undefined;
  #building: Promise<void> | undefined;
  #isDirty = false;
  #isClosed = false;
  #hasRun = false;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.#watch([]);
  }

  /** Builds and swaps; a save meanwhile makes it build once more. */
  async reload(): Promise<void> {
    this.#isDirty = true;
    this.#building ??= this.#buildWhileDirty().finally(() => {
      this.#building = undefined;
    });
    await this.#building;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#settling);
    for (const watcher of this.#watchers.values()) watcher.close();
    await this.#building;
    const { gateway, bundler, echo } = this.#parts;
    await Promise.all([gateway.close(), bundler.close(), echo?.close()]);
  }

  async #buildWhileDirty(): Promise<void> {
    while (this.#isDirty && !this.#isClosed) {
      this.#isDirty = false;
      await this.#build();
    }
  }

  async #build(): Promise<void> {
    const { options, bundler } = this.#parts;
    const { folder, print } = options;
    const beganAt = performance.now();
    try {
      const project = await readProject(folder);
      const bundle = await bundler.build();
      this.#watch(bundle.inputs);
      const config = await readDevConfig(project, options.configFile);
      await this.#run(project, bundle.code, config);
      const tookMs = Math.round(performance.now() - beganAt);
      const { name, version } = project.manifest;
      print(
        `${this.#hasRun ? 'reloaded' : 'built'} ${name} ${version} in ${tookMs} ms; config ${JSON.stringify(config)}`,
      );
      this.#hasRun = true;
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      print(`${error.message}\n${this.#hasRun ? 'The version before goes on.' : 'Waiting for a change.'}`);
    }
  }

  async #run(project: PluginProject, code: string, config: unknown): Promise<void> {
    const { options, gateway } = this.#parts;
    const { tier, print } = options;
    const secrets = { ...fixtureSecrets(project.manifest), ...options.secrets };
    const { loaded, close } = await loadBundle(project, code, { tier, secrets, log: printLog(print) });
    const traced = traceHooks(loaded.plugin, (trace) => print(describeTrace(trace)));
    // Requests in flight may outlast the swap: what it runs in is let go with its set-up.
    const plugin: typeof traced = {
      ...traced,
      close: (state) => Promise.resolve(loaded.plugin.close?.(state)).finally(close),
    };
    try {
      await gateway.run({ ...loaded, plugin }, config);
    } catch (error) {
      await close();
      throw error;
    }
  }

  /** Watches the folders that the plugin is made of: files come and go, and editors replace rather than write. */
  #watch(inputs: Bundle['inputs']): void {
    const { folder, configFile } = this.#parts.options;
    const own = inputs.filter((input) => !input.includes('node_modules/')).map((input) => dirname(join(folder, input)));
    const folders = [folder, join(folder, 'src'), ...own, ...(configFile ? [dirname(resolve(configFile))] : [])];
    for (const path of new Set(folders)) {
      if (this.#watchers.has(path)) continue;
      const watcher = watchFolder(path, () => this.#settle());
      if (watcher) this.#watchers.set(path, watcher);
    }
  }

  #settle(): void {
    if (this.#isClosed) return;
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => void this.reload(), SETTLE_MS);
  }
}

function watchFolder(path: string, onChange: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(path, (_event, name) => {
      if (name === null || /\.(ts|js|mjs|json)$/.test(name)) onChange();
    });
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    // It is not there; the build says what is missing.
    return undefined;
  }
}

async function readDevConfig({ configSchema }: PluginProject, file: string | undefined): Promise<unknown> {
  const examples = configSchema['examples'];
  const example: unknown = Array.isArray(examples) ? examples[0] : undefined;
  const config: unknown = file === undefined ? structuredClone(example ?? {}) : await readJsonFile(file);
  const problems = buildValidator(configSchema)(config);
  if (problems.length === 0) return config;
  throw new CommandError(`${file ?? 'the first example of config.schema.json'}:\n${describeProblems(problems)}`);
}

async function readJsonFile(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new CommandError(`${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function printLog(print: (line: string) => void): Logger {
  const write =
    (level: string) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      const { stack: _stack, ...rest } = fields;
      print(`  ${level}: ${message}${Object.keys(rest).length > 0 ? ` ${JSON.stringify(rest)}` : ''}`);
    };
  // The gateway's own small talk is not what an author looks for.
  return { debug: () => undefined, info: write('info'), warn: write('warn'), error: write('error') };
}
