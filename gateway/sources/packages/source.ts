// Loads installs in a worker: verified from disk at every load, tried by their fixtures, opened in a sandbox.
// Must not fetch anything, and must not believe what was verified before.
import { isDeepStrictEqual } from 'node:util';
import { readManifest } from '../../core/config.ts';
import type { Problem } from '../../core/errors.ts';
import type { Install } from '../../core/model.ts';
import type { LoadedPlugin } from '../../core/pipeline.ts';
import { CONTRACT_VERSION } from '../../core/plugin.ts';
import type { Clock, Logger } from '../../core/ports.ts';
import type { LoadedInstall, PluginSource } from '../../core/setup/source.ts';
import { PackageError } from '../../package/errors.ts';
import type { PluginPackage } from '../../package/package.ts';
import { comparePermissions } from '../../package/permissions.ts';
import { type Trust, type TrustedIndex, verifyPackage } from '../../package/trust.ts';
import { findTier, openSandbox, type Sandbox, type SandboxOptions } from '../../sandbox/sandbox.ts';
import { fixtureManifest, fixtureSecrets, runFixtures } from '../../testing/fixtures.ts';
import { isSealed } from '../sealed-keys.ts';
import { type Beside, findBeside } from './beside.ts';
import type { PackageFolder } from './folder.ts';
import { openTrust } from './trust.ts';

/** Is what a source needs. */
export interface PackageSourceOptions {
  readonly folder: PackageFolder;
  /** File of the pinned root keys. */
  readonly rootFile: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Whose signatures a package needs. */
const POLICY = { require: ['publisher', 'marketplace'] } as const;

/** Bounds a load: workers must prepare a revision in thirty seconds, or are held to be stuck. */
const LOAD_TIMEOUT_MS = 12_000;
/** Time for all fixtures of a package together. */
const FIXTURES_BUDGET_MS = 2_000;

/** Makes a source over a folder that the keeper fills. */
export function createPackageSource(options: PackageSourceOptions): PluginSource {
  return new PackageSource(options);
}

/** Refuses a load. */
class LoadRefusal extends Error {
  readonly problem: Problem;

  constructor(code: string, message: string, pointer = '') {
    super(message);
    this.problem = { pointer, code, message };
  }
}

interface OpenCode {
  readonly key: string;
  readonly pin: Pick<Install, 'plugin' | 'version' | 'sha256'>;
  readonly plugin: LoadedPlugin;
}

interface Versions {
  readonly stable: LoadedPlugin;
  readonly trial: LoadedPlugin;
}

interface Trial extends Versions {
  /** What else makes it another trial. */
  readonly facts: string;
  readonly joint: LoadedPlugin;
}

/** Opens one package in the tier of its install. */
type OpenSandbox = (parts: Pick<SandboxOptions, 'manifest' | 'secrets'>) => Promise<Sandbox>;

interface Loading {
  readonly loaded: LoadedPlugin;
  readonly problem: Problem | undefined;
}

class PackageSource implements PluginSource {
  readonly #options: PackageSourceOptions;
  readonly #open = new Map<string, OpenCode>();
  /** The last trial of each plugin. */
  readonly #trials = new Map<string, Trial>();
  readonly #stableOf = new WeakMap<LoadedPlugin, LoadedPlugin>();
  /** Digests of packages whose fixtures passed in this process. */
  readonly #tried = new Set<string>();

  constructor(options: PackageSourceOptions) {
    this.#options = options;
  }

  async load(install: Install, running: LoadedPlugin | undefined): Promise<LoadedInstall> {
    const { log } = this.#options;
    try {
      const index = await this.#openIndex();
      const mayGoOn = running === undefined || !this.#isRevoked(running, index);
      try {
        return { ...(await withinTime(this.#load(install, index))), mayGoOn };
      } catch (error) {
        const problem = toProblem(error);
        const { plugin, version } = install;
        log.error('a plugin does not load', { plugin, version, running: mayGoOn && running !== undefined, ...problem });
        return { loaded: undefined, problem, mayGoOn };
      }
    } catch (error) {
      // What runs was verified with an index that was whole.
      return { loaded: undefined, problem: toProblem(error), mayGoOn: true };
    }
  }

  async #openIndex(): Promise<TrustedIndex> {
    const { folder, rootFile, clock } = this.#options;
    const [trust, seen] = await Promise.all([folder.readTrust(), folder.readSeen()]);
    if (trust === undefined) throw new LoadRefusal('INDEX_MISSING', 'no index of plugins has come to this node yet');
    return (await openTrust(trust, { rootFile, seen, nowMs: clock.wallMs() })).index;
  }

  #isRevoked(running: LoadedPlugin, index: TrustedIndex): boolean {
    const own = this.#stableOf.get(running) ?? running;
    const pin = [...this.#open.values()].find(({ plugin }) => plugin === own)?.pin;
    const versions = pin && Object.hasOwn(index.plugins, pin.plugin) ? index.plugins[pin.plugin] : undefined;
    return pin !== undefined && versions?.[pin.version]?.state === 'revoked';
  }

  /** Loads what is pinned, and what is on trial beside it; that one alone may fail. */
  async #load(install: Install, index: TrustedIndex): Promise<Loading> {
    const stable = await this.#loadPin(install, index);
    const beside = findBeside(install);
    if (beside === undefined) return { loaded: stable, problem: undefined };
    try {
      const trial = await this.#loadPin(beside.install, index, beside.name);
      return { loaded: this.#join(install.plugin, beside, { stable, trial }), problem: undefined };
    } catch (error) {
      const problem = toProblem(error);
      const { plugin, version } = beside.install;
      this.#options.log.error('a version on trial does not load', { plugin, version, ...problem });
      return { loaded: stable, problem: { ...problem, pointer: `/${beside.name}${problem.pointer}` } };
    }
  }

  /** Gives the same joint plugin for the same trial: its counts go on, and bindings keep their set-ups. */
  #join(plugin: string, { facts, join }: Beside, { stable, trial }: Versions): LoadedPlugin {
    const known = this.#trials.get(plugin);
    if (known?.facts === facts && known.stable === stable && known.trial === trial) {
      known.joint.lease?.take();
      stable.lease?.release();
      trial.lease?.release();
      return known.joint;
    }
    const joint = join(stable, trial);
    this.#trials.set(plugin, { facts, stable, trial, joint });
    this.#stableOf.set(joint, stable);
    return joint;
  }

  /** `role` keeps apart what must share nothing: a version in the shadow has a sandbox of its own. */
  async #loadPin(install: Install, index: TrustedIndex, role: Beside['name'] | '' = ''): Promise<LoadedPlugin> {
    const { pkg, trust } = await this.#verify(install, index);
    const tier = chooseTier(install, trust);
    const { plugin, version, sha256, granted, secrets } = install;
    const key = JSON.stringify([plugin, version, sha256, granted, tier, secrets, role === 'shadow']);
    const known = this.#open.get(key);
    if (known !== undefined) {
      known.plugin.lease?.take();
      return known.plugin;
    }
    const sealed = Object.entries(secrets).find(([, value]) => isSealed(value));
    if (sealed !== undefined) {
      throw new LoadRefusal('SECRET_SEALED', `the secret ${sealed[0]} does not open with the key of this node`);
    }
    const open: OpenSandbox = (parts) =>
      openSandbox({ code: pkg.code, granted, tier, log: this.#options.log, ...parts });
    await this.#tryFixtures(pkg, open);
    return this.#keep(key, install, pkg, await open({ manifest: pkg.manifest, secrets }));
  }

  async #verify(
    install: Install,
    index: TrustedIndex,
  ): Promise<{ readonly pkg: PluginPackage; readonly trust: Trust }> {
    const { plugin: id, version, sha256, granted } = install;
    const { bytes, envelope, problem } = await this.#options.folder.readPackage(sha256);
    if (bytes === undefined) {
      throw new LoadRefusal('PACKAGE_MISSING', problem ?? 'the package has not come to this node yet');
    }
    const pinned = { id, version, sha256, granted };
    const verdict = verifyPackage({
      bytes,
      envelope,
      index,
      policy: POLICY,
      pinned,
      contractVersion: CONTRACT_VERSION,
    });
    if (!verdict.ok) throw new LoadRefusal(verdict.code, verdict.message);
    checkPin(install, verdict.package);
    return { pkg: verdict.package, trust: verdict.trust };
  }

  /** Runs the fixtures in a sandbox of their own: what they leave behind must not meet traffic. */
  async #tryFixtures(pkg: PluginPackage, open: OpenSandbox): Promise<void> {
    if (pkg.fixtures.length === 0 || this.#tried.has(pkg.sha256)) return;
    const { manifest } = pkg;
    const sandbox = await open({ manifest: fixtureManifest(manifest), secrets: fixtureSecrets(manifest) });
    try {
      const options = { budgetMs: FIXTURES_BUDGET_MS };
      const results = await runFixtures(sandbox.plugin, manifest, pkg.configSchema, pkg.fixtures, options);
      const failed = results.find(({ ok }) => !ok);
      if (failed) throw new LoadRefusal('FIXTURE_FAILED', `fixture ${failed.name}: ${failed.problems.join('; ')}`);
      this.#tried.add(pkg.sha256);
    } finally {
      await sandbox.close();
    }
  }

  #keep(key: string, install: Install, pkg: PluginPackage, sandbox: Sandbox): LoadedPlugin {
    let users = 1;
    const { manifest, configSchema } = pkg;
    const lease = {
      take: () => {
        users += 1;
      },
      release: () => {
        users -= 1;
        if (users > 0) return;
        this.#open.delete(key);
        sandbox.close().catch((error: unknown) => this.#options.log.warn('a sandbox was not closed', { error }));
      },
    };
    const plugin = { manifest, configSchema, plugin: sandbox.plugin, lease };
    this.#open.set(key, { key, pin: install, plugin });
    return plugin;
  }
}

/** Checks that the document says of the version what the package says: admin service and console show what it says. */
function checkPin({ manifest, configSchema, granted }: Install, pkg: PluginPackage): void {
  if (!isDeepStrictEqual(readManifest(manifest), pkg.manifest)) {
    throw new LoadRefusal(
      'MANIFEST_MISMATCH',
      'the manifest in the document is not the one of the package',
      '/manifest',
    );
  }
  if (!isDeepStrictEqual(configSchema, pkg.configSchema)) {
    throw new LoadRefusal(
      'SCHEMA_MISMATCH',
      'the schema in the document is not the one of the package',
      '/configSchema',
    );
  }
  const [beyond] = comparePermissions(pkg.manifest.permissions, granted);
  if (beyond !== undefined) {
    throw new LoadRefusal('GRANT_MISMATCH', 'more is granted than the version asks for', `/granted${beyond.pointer}`);
  }
}

function chooseTier({ tier }: Install, trust: Trust): Sandbox['tier'] {
  const own = findTier(trust);
  if (tier === 'auto') return own;
  if (tier === 'native' && own !== 'native') {
    throw new LoadRefusal('TIER_REFUSED', 'expected a sandbox: only what the platform signed runs without', '/tier');
  }
  return tier;
}

function toProblem(error: unknown): Problem {
  if (error instanceof LoadRefusal) return error.problem;
  const message = error instanceof Error ? error.message : String(error);
  return { pointer: '', code: error instanceof PackageError ? error.code : 'LOAD_FAILED', message };
}

/** Gives what was loaded in time; what comes later is given back. */
async function withinTime(loading: Promise<Loading>): Promise<Loading> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new LoadRefusal('LOAD_TIMEOUT', `not loaded within ${LOAD_TIMEOUT_MS} ms`));
      loading.then(({ loaded }) => loaded.lease?.release()).catch(() => undefined);
    }, LOAD_TIMEOUT_MS);
  });
  return await Promise.race([loading, late]).finally(() => clearTimeout(timer));
}
