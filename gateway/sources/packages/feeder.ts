// Brings packages from the control plane to this node's disk: what the document pins, and the index that says what may run.
// Must not run or unpack a package, and must never hold up a revision for long.
import type { DocumentState } from '../../core/config.ts';
import type { Change, Install, Update } from '../../core/model.ts';
import type { Clock, Logger } from '../../core/ports.ts';
import type { FetchedPackage, PackageName } from '../postgres/packages.ts';
import { digestOf, type PackageFolder, type TrustFile } from './folder.ts';
import { openTrust } from './trust.ts';

/** Is what a feeder needs and whom it tells. */
export interface FeederOptions {
  readonly folder: PackageFolder;
  /** File of the pinned root keys. */
  readonly rootFile: string;
  readonly reader: {
    readPackage(name: PackageName): Promise<FetchedPackage | undefined>;
    readTrust(): Promise<TrustFile | undefined>;
  };
  readonly clock: Clock;
  readonly log: Logger;
  /** Says that what can be loaded has changed: another index, or a package that was missing. */
  onChanged(): void;
}

/** Feeds a node. */
export interface Feeder {
  /** Fetches what an update pins; resolves when it is here, was refused, or took too long. Never rejects. */
  take(update: Update): Promise<void>;
  /** Takes the version of the index that the control plane has now. */
  takeIndexVersion(version: number | undefined): void;
  /** Removes packages that the document in force pins no more. */
  keep(document: DocumentState): void;
  close(): void;
}

/** How long a revision waits for its packages; after that it goes on, and they are loaded when they have come. */
const PATIENCE_MS = 3_000;
/** The whole document is worth a longer wait: as a rule nothing runs yet. */
const RESET_PATIENCE_MS = 10_000;
/** Pause before what could not be fetched is asked for again. */
const RETRY_MS = 2_000;

/** Builds a feeder. */
export function createFeeder(options: FeederOptions): Feeder {
  return new PackageFeeder(options);
}

class PackageFeeder implements Feeder {
  readonly #options: FeederOptions;
  /** Pins of each install, by its id: the wanted one first. */
  #wanted = new Map<string, readonly PackageName[]>();
  readonly #missing = new Map<string, PackageName>();
  #indexVersion: number | undefined;
  #isTrustOpen = false;
  #fetchingTrust: Promise<void> | undefined;
  #lastComplaint = '';
  #retry: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: FeederOptions) {
    this.#options = options;
  }

  async take(update: Update): Promise<void> {
    const fresh = this.#noteWanted(update);
    if (fresh.length === 0) return;
    const patienceMs = update.isReset ? RESET_PATIENCE_MS : PATIENCE_MS;
    const timer = new Promise<'late'>((resolve) => setTimeout(() => resolve('late'), patienceMs).unref());
    // Without an index nothing is loaded: the first one is worth waiting for.
    const fetched = Promise.all([this.#fetchAll(fresh), this.#fetchingTrust]);
    // What comes after the revision went on must be told; before, it is loaded with it.
    if ((await Promise.race([fetched, timer])) === 'late') void fetched.then(() => this.#options.onChanged());
  }

  takeIndexVersion(version: number | undefined): void {
    if (version === this.#indexVersion && this.#isTrustOpen) return;
    this.#indexVersion = version;
    if (version === undefined) return;
    this.#startTrust();
  }

  keep({ installs }: DocumentState): void {
    const kept = new Set([...this.#wanted.values()].flat().map(({ sha256 }) => sha256));
    for (const install of installs.values()) for (const { sha256 } of listPins(install)) kept.add(sha256);
    for (const sha256 of this.#missing.keys()) if (!kept.has(sha256)) this.#missing.delete(sha256);
    this.#options.folder.prune(kept).catch((error: unknown) => {
      this.#options.log.warn('packages that are not used were not removed', { error });
    });
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retry);
  }

  #noteWanted({ isReset, changes }: Update): readonly PackageName[] {
    if (isReset) this.#wanted = new Map();
    const fresh: PackageName[] = [];
    for (const change of changes) {
      if (!isInstall(change)) continue;
      const pins = change.after === undefined ? [] : listPins(change.after);
      if (pins.length > 0) this.#wanted.set(change.id, pins);
      else this.#wanted.delete(change.id);
      fresh.push(...pins);
    }
    return fresh;
  }

  /** Fetches one after the other, as two are rarely new at once and each may be megabytes. */
  async #fetchAll(names: readonly PackageName[]): Promise<boolean> {
    let hasNews = false;
    for (const name of names) hasNews = (await this.#fetchOne(name)) || hasNews;
    this.#retryLater();
    return hasNews;
  }

  async #fetchOne(name: PackageName): Promise<boolean> {
    const { folder, reader, log } = this.#options;
    const { sha256 } = name;
    try {
      if (await folder.hasPackage(sha256)) {
        this.#missing.delete(sha256);
        return false;
      }
      const known = this.#missing.has(sha256);
      this.#missing.set(sha256, name);
      const fetched = await reader.readPackage(name);
      const problem = findProblem(name, fetched);
      if (fetched !== undefined && problem === undefined) {
        await folder.writePackage(sha256, fetched.bytes, fetched.envelope);
        this.#missing.delete(sha256);
        log.info('a package was fetched', { ...name, bytes: fetched.bytes.length });
        return true;
      }
      if (known) return false;
      log.error('a package was not fetched', { ...name, reason: problem });
      await folder.writeProblem(sha256, problem ?? '');
      return true;
    } catch (error) {
      // Out of reach: `retryLater` asks again.
      log.debug('a package could not be fetched', { ...name, error });
      this.#missing.set(sha256, name);
      return false;
    }
  }

  #startTrust(): void {
    if (this.#fetchingTrust !== undefined) return;
    const wanted = this.#indexVersion;
    this.#fetchingTrust = this.#fetchTrust().then(() => {
      this.#fetchingTrust = undefined;
      if (wanted !== this.#indexVersion) this.#startTrust();
      else this.#retryLater();
    });
  }

  async #fetchTrust(): Promise<void> {
    const { folder, reader, rootFile, clock, log } = this.#options;
    try {
      const [trust, seen] = await Promise.all([reader.readTrust(), folder.readSeen()]);
      if (trust === undefined) return;
      const opened = await openTrust(trust, { rootFile, seen, nowMs: clock.wallMs() });
      await folder.writeTrust(trust);
      await folder.writeSeen(opened.seen);
      this.#isTrustOpen = true;
      this.#lastComplaint = '';
      const facts = { index: opened.index.version, root: opened.seen.root };
      if (opened.isExpired) log.warn('the index of plugins has expired; what it says still holds', facts);
      log.info('index of plugins in force', facts);
      this.#options.onChanged();
    } catch (error) {
      this.#isTrustOpen = false;
      const reason = error instanceof Error ? error.message : String(error);
      // Asked again every few seconds: one line is enough.
      if (reason !== this.#lastComplaint)
        log.error('the index of plugins is refused; the one before holds', { reason });
      this.#lastComplaint = reason;
    }
  }

  #retryLater(): void {
    const isTrustDue = this.#indexVersion !== undefined && !this.#isTrustOpen;
    if (this.#isClosed || this.#retry !== undefined || (this.#missing.size === 0 && !isTrustDue)) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      if (this.#indexVersion !== undefined && !this.#isTrustOpen) this.#startTrust();
      if (this.#missing.size === 0) return;
      void this.#fetchAll([...this.#missing.values()]).then((hasNews) => {
        if (hasNews) this.#options.onChanged();
      });
    }, RETRY_MS).unref();
  }
}

function isInstall(change: Change): change is Extract<Change, { readonly kind: 'install' }> {
  return change.kind === 'install';
}

function listPins({ plugin, version, sha256, previous, canary, shadow }: Install): readonly PackageName[] {
  const others = [canary, shadow, previous].flatMap((pin) => pin ?? []);
  return [{ version, sha256 }, ...others].map((pin) => ({ plugin, version: pin.version, sha256: pin.sha256 }));
}

function findProblem({ sha256 }: PackageName, fetched: FetchedPackage | undefined): string | undefined {
  if (fetched === undefined) return 'the control plane has no package with this digest';
  const actual = digestOf(fetched.bytes);
  return actual === sha256 ? undefined : `the control plane sent bytes with the digest ${actual}`;
}
