// Loads installs in a worker: verified from disk at every load, tried by their fixtures, opened in a sandbox.
// Must not fetch anything, and must not believe what was verified before.
import type { Problem } from '../../core/errors.ts';
import type { Install, PreviousPin } from '../../core/model.ts';
import type { LoadedPlugin } from '../../core/pipeline.ts';
import { CONTRACT_VERSION } from '../../core/plugin.ts';
import type { Clock, Logger } from '../../core/ports.ts';
import { keepPrevious, type PreviousVersion, takePlace } from '../../core/setup/previous.ts';
import type { LoadedInstall, PluginSource } from '../../core/setup/source.ts';
import type { PluginPackage } from '../../package/package.ts';
import { type Trust, type TrustedIndex, verifyPackage } from '../../package/trust.ts';
import type { IsolateGate } from '../../sandbox/isolate/gate.ts';
import { findTier, openSandbox, type Sandbox, type SandboxOptions } from '../../sandbox/sandbox.ts';
import { fixtureManifest, fixtureSecrets, runFixtures } from '../../testing/fixtures.ts';
import { isSealed } from '../sealed-keys.ts';
import { type Beside, findBeside } from './beside.ts';
import type { PackageFolder } from './folder.ts';
import { Joints } from './joints.ts';
import { LoadRefusal, toProblem, withinTime } from './loading.ts';
import { OpenPackages } from './open-packages.ts';
import { checkPin, pinTo } from './pin.ts';
import { openTrust } from './trust.ts';

/** Is what a source needs. */
export interface PackageSourceOptions {
  readonly folder: PackageFolder;
  /** File of the pinned root keys. */
  readonly rootFile: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Says whether isolates are allowed now. */
  readonly isolates: IsolateGate;
}

/** Whose signatures a package needs. */
const POLICY = { require: ['publisher', 'marketplace'] } as const;

/** Bounds a load: workers must prepare a revision in thirty seconds, or are held to be stuck. */
const LOAD_TIMEOUT_MS = 12_000;
/** Bounds the load of the version before, which goes on beside: the installed one must not wait for it in vain. */
const PREVIOUS_TIMEOUT_MS = 8_000;
/** Time for all fixtures of a package together. */
const FIXTURES_BUDGET_MS = 2_000;

/** Makes a source over a folder that the keeper fills. */
export function createPackageSource(options: PackageSourceOptions): PluginSource {
  return new PackageSource(options);
}

/** Opens one package in the tier of its install. */
type OpenSandbox = (parts: Pick<SandboxOptions, 'manifest' | 'secrets'>) => Promise<Sandbox>;

interface Loading {
  readonly loaded: LoadedPlugin;
  readonly problem: Problem | undefined;
}

type LoadedPrevious = Omit<PreviousVersion, 'isStopped'>;

class PackageSource implements PluginSource {
  readonly #options: PackageSourceOptions;
  readonly #open: OpenPackages;
  readonly #withPrevious = new Joints();
  readonly #onTrial = new Joints();
  readonly #inPlace = new Joints();
  /** Digests of packages whose fixtures passed in this process. */
  readonly #tried = new Set<string>();

  constructor(options: PackageSourceOptions) {
    this.#options = options;
    this.#open = new OpenPackages(options.log);
  }

  async load(install: Install, running: LoadedPlugin | undefined): Promise<LoadedInstall> {
    try {
      const index = await this.#openIndex();
      this.#stopRevoked(install.plugin, running, index);
      const mayGoOn = running === undefined || !this.#isRevoked(running, index);
      const goesOn = mayGoOn && running !== undefined;
      const loadingPrevious = this.#loadPrevious(install, index);
      // Lent once more, as the installed version may hold its own past the end of the wait for it.
      const spare = loadingPrevious?.then(lendAgain);
      try {
        const loading = this.#load(install, index, loadingPrevious);
        const inTime = await withinTime(loading, LOAD_TIMEOUT_MS, ({ loaded }) => loaded);
        this.#open.expect(install.plugin, install.previous?.sha256);
        void spare?.then(giveBack);
        return { ...inTime, mayGoOn };
      } catch (error) {
        if (goesOn) void spare?.then(giveBack);
        const previous = goesOn ? undefined : await spare;
        return { loaded: undefined, mayGoOn, ...this.#replace(install, toProblem(error), { goesOn, previous }) };
      }
    } catch (error) {
      // What runs was verified with an index that was whole.
      return { loaded: undefined, problem: toProblem(error), mayGoOn: true };
    }
  }

  /** Puts the version before, if it runs, in the place of an installed one that does not, and says so. */
  #replace(
    { plugin, version }: Install,
    problem: Problem,
    { goesOn, previous }: { readonly goesOn: boolean; readonly previous: LoadedPrevious | undefined },
  ): Pick<LoadedInstall, 'problem' | 'instead'> {
    const { log } = this.#options;
    const before = previous?.version;
    log.error('a plugin does not load', { plugin, version, running: goesOn, ...problem });
    if (previous?.plugin === undefined) {
      const why = previous?.problem === undefined ? '' : `; the version before, ${before}: ${previous.problem.message}`;
      return { problem: { ...problem, message: `${problem.message}${why}` } };
    }
    log.warn('the version before runs in its place', { plugin, version, previous: before });
    const { plugin: runs, configs } = previous;
    const build = (): LoadedPlugin => takePlace(runs, configs);
    return { problem, instead: this.#inPlace.join({ name: plugin, parts: [runs], facts: [before, configs], build }) };
  }

  async #openIndex(): Promise<TrustedIndex> {
    const { folder, rootFile, clock } = this.#options;
    const [trust, seen] = await Promise.all([folder.readTrust(), folder.readSeen()]);
    if (trust === undefined) throw new LoadRefusal('INDEX_MISSING', 'no index of plugins has come to this node yet');
    return (await openTrust(trust, { rootFile, seen, nowMs: clock.wallMs() })).index;
  }

  #isRevoked(running: LoadedPlugin, index: TrustedIndex): boolean {
    const joined = this.#inPlace.findInstalled(this.#onTrial.findInstalled(running));
    const pin = this.#open.findPin(this.#withPrevious.findInstalled(joined));
    return pin !== undefined && isRevoked(index, pin.plugin, pin.version);
  }

  /** Stops what goes with the installed version, also when that does not load, and what runs goes on. */
  #stopRevoked(plugin: string, running: LoadedPlugin | undefined, index: TrustedIndex): void {
    for (const other of [running?.previous, running?.beside]) {
      if (other === undefined || other.isStopped || !isRevoked(index, plugin, other.version)) continue;
      other.isStopped = true;
      this.#options.log.warn('a version was stopped: it was revoked', { plugin, version: other.version });
    }
  }

  /** Loads what is pinned, and what is on trial beside it; that one alone may fail. */
  async #load(install: Install, index: TrustedIndex, previous: Promise<LoadedPrevious> | undefined): Promise<Loading> {
    const stable = await this.#loadInstalled(install, index, previous);
    const beside = findBeside(install);
    if (beside === undefined) return { loaded: stable, problem: undefined };
    const { facts, join } = beside;
    try {
      const trial = await this.#loadPin(beside.install, index, beside.name);
      const build = (): LoadedPlugin => join(stable, trial);
      const loaded = this.#onTrial.join({ name: install.plugin, parts: [stable, trial], facts, build });
      return { loaded, problem: undefined };
    } catch (error) {
      const problem = toProblem(error);
      const { plugin, version } = beside.install;
      this.#options.log.error('a version on trial does not load', { plugin, version, ...problem });
      return { loaded: stable, problem: { ...problem, pointer: `/${beside.name}${problem.pointer}` } };
    }
  }

  /** Loads what is pinned, and joins it with the version before where that is to take its place. */
  async #loadInstalled(
    install: Install,
    index: TrustedIndex,
    loadingPrevious: Promise<LoadedPrevious> | undefined,
  ): Promise<LoadedPlugin> {
    const installed = await this.#loadPin(install, index).catch((error: unknown) => {
      void loadingPrevious?.then(giveBack);
      throw error;
    });
    const previous = await loadingPrevious;
    if (previous === undefined) return installed;
    const { version, plugin, problem, configs } = previous;
    return this.#withPrevious.join({
      name: install.plugin,
      parts: plugin ? [installed, plugin] : [installed],
      facts: [version, configs, problem],
      build: () => keepPrevious(installed, previous),
    });
  }

  /** Loads the version before where that is to take the place of the installed one; it alone may fail. */
  #loadPrevious(install: Install, index: TrustedIndex): Promise<LoadedPrevious> | undefined {
    const { previous: pin, manifest } = install;
    return manifest.failPolicy === 'previous' && pin ? this.#loadBefore(install, pin, index) : undefined;
  }

  /** Verifies and opens the version before like any other. Never rejects. */
  async #loadBefore(install: Install, pin: PreviousPin, index: TrustedIndex): Promise<LoadedPrevious> {
    const { plugin, sha256, manifest } = install;
    const { version, configs } = pin;
    const { stage } = pin.manifest;
    try {
      if (pin.sha256 === sha256) throw new LoadRefusal('SAME_VERSION', 'expected another version than is installed');
      if (stage !== manifest.stage) throw new LoadRefusal('OTHER_STAGE', `its stage is ${stage}`);
      const loading = withinTime(this.#loadPin(pinTo(install, pin), index), PREVIOUS_TIMEOUT_MS, (loaded) => loaded);
      return { version, plugin: await loading, problem: undefined, configs };
    } catch (error) {
      const problem = toProblem(error);
      this.#options.log.error('the version before does not load', { plugin, version, ...problem });
      const pointer = `/previous${problem.pointer}`;
      return { version, plugin: undefined, problem: { ...problem, pointer }, configs };
    }
  }

  /** `role` keeps apart what must share nothing: a version in the shadow has a sandbox of its own. */
  async #loadPin(install: Install, index: TrustedIndex, role: Beside['name'] | '' = ''): Promise<LoadedPlugin> {
    const { pkg, trust } = await this.#verify(install, index);
    const tier = chooseTier(install, trust);
    const { plugin, version, sha256, granted, secrets } = install;
    const key = JSON.stringify([plugin, version, sha256, granted, tier, secrets, role === 'shadow']);
    const known = this.#open.take(key);
    if (known !== undefined) return known;
    const sealed = Object.entries(secrets).find(([, value]) => isSealed(value));
    if (sealed !== undefined) {
      throw new LoadRefusal('SECRET_SEALED', `the secret ${sealed[0]} does not open with the key of this node`);
    }
    const { log, isolates } = this.#options;
    const open: OpenSandbox = (parts) => openSandbox({ code: pkg.code, granted, tier, log, isolates, ...parts });
    await this.#tryFixtures(pkg, open);
    const sandbox = await open({ manifest: pkg.manifest, secrets });
    // What ran in a shadow must leave nothing to whoever runs next.
    const canRest = role !== 'shadow';
    return this.#open.keep(key, { plugin, version, sha256, canRest }, pkg, sandbox);
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
}

function lendAgain(previous: LoadedPrevious): LoadedPrevious {
  previous.plugin?.lease?.take();
  return previous;
}

function giveBack({ plugin }: LoadedPrevious): void {
  plugin?.lease?.release();
}

function isRevoked({ plugins }: TrustedIndex, plugin: string, version: string): boolean {
  const versions = Object.hasOwn(plugins, plugin) ? plugins[plugin] : undefined;
  return versions?.[version]?.state === 'revoked';
}

function chooseTier({ tier }: Install, trust: Trust): Sandbox['tier'] {
  const own = findTier(trust);
  if (tier === 'auto') return own;
  if (tier === 'native' && own !== 'native') {
    throw new LoadRefusal('TIER_REFUSED', 'expected a sandbox: only what the platform signed runs without', '/tier');
  }
  return tier;
}
