// Decides whether a package may be loaded: everything that is pinned or signed about it must agree.
// Must not be asked once and remembered: it is asked at every load, with the newest index at hand.
import { fitsEngine, type Permissions } from '../core/manifest.ts';
import type { IndexedVersion, TrustedIndex } from './authority.ts';
import { hashSha256 } from './canonical.ts';
import { type Envelope, verifySignatures } from './dsse.ts';
import { PackageError, type PackageErrorCode } from './errors.ts';
import { type KeyEntry, readKeyEntries } from './keys.ts';
import { openPackage, type PluginPackage } from './package.ts';
import { comparePermissions } from './permissions.ts';
import { compareStatement, readStatement } from './statement.ts';

export {
  type IndexedPublisher,
  type IndexedVersion,
  openIndex,
  openRoot,
  type PluginIndex,
  type Root,
  signIndex,
  signRoot,
  type TrustedIndex,
  type VersionState,
} from './authority.ts';
export { comparePermissions, hashPermissions, type PermissionGap } from './permissions.ts';

/** Says whose word stands behind a package: it decides in which sandbox the code may run. */
export type Trust = 'platform' | 'marketplace' | 'unsigned';

/** Is what `verifyPackage` judges. */
export interface PackageCheck {
  readonly bytes: Uint8Array;
  /** Undefined only where the policy requires no signature. */
  readonly envelope: Envelope | undefined;
  /** As `openIndex` gave it; undefined only where the policy requires no signature. */
  readonly index: TrustedIndex | undefined;
  /** Whose signatures have to be there. None is for development: whatever has the pinned digest is loaded. */
  readonly policy: { readonly require: readonly ('publisher' | 'marketplace')[] };
  /** What the operator installed. */
  readonly pinned: {
    readonly id: string;
    readonly version: string;
    readonly sha256: string;
    readonly granted: Permissions;
  };
  readonly contractVersion: string;
}

/** Gives the package, or why not. */
export type PackageVerdict =
  | {
      readonly ok: true;
      readonly package: PluginPackage;
      readonly trust: Trust;
      /** What the index says of this version; undefined when it is not listed, which only a policy without signatures allows. */
      readonly listing: IndexedVersion | undefined;
    }
  | { readonly ok: false; readonly code: PackageErrorCode; readonly message: string };

/**
 * Judges a package at load. The order matters: nothing is parsed that does not have the pinned digest, nothing is
 * believed that nobody we trust has signed.
 */
export function verifyPackage(check: PackageCheck): PackageVerdict {
  try {
    return judge(check);
  } catch (error) {
    if (error instanceof PackageError) return { ok: false, code: error.code, message: error.message };
    throw error;
  }
}

function judge(check: PackageCheck): PackageVerdict {
  const { bytes, pinned, policy, index } = check;
  const sha256 = hashSha256(bytes);
  if (sha256 !== pinned.sha256) {
    throw new PackageError('DIGEST_MISMATCH', `the package has digest ${sha256}, installed was ${pinned.sha256}`);
  }
  const listing = findListing(index, pinned.id, pinned.version);
  checkListing(check, listing);
  const signers = findSigners(check);
  const missing = policy.require.filter((one) => !signers[one]);
  if (missing.length > 0) {
    throw new PackageError('SIGNATURE_MISSING', `no valid signature of the ${missing.join(', nor of the ')}`);
  }
  const pkg = openPackage(bytes);
  checkPackage(check, pkg);
  return { ok: true, package: pkg, trust: trustOf(signers), listing };
}

function trustOf({ publisher, marketplace, isPlatform }: Signers): Trust {
  if (!marketplace) return 'unsigned';
  return isPlatform && publisher ? 'platform' : 'marketplace';
}

function findListing(index: TrustedIndex | undefined, id: string, version: string): IndexedVersion | undefined {
  // Own properties only: an id or a version is a stranger's text, and an object has more names than its data.
  const versions = index && Object.hasOwn(index.plugins, id) ? index.plugins[id] : undefined;
  return versions && Object.hasOwn(versions, version) ? versions[version] : undefined;
}

function checkListing({ pinned, policy, index }: PackageCheck, listing: IndexedVersion | undefined): void {
  const name = `${pinned.id}@${pinned.version}`;
  if (!listing) {
    if (policy.require.length === 0) return;
    throw new PackageError(
      'NOT_IN_INDEX',
      `${name} is not in ${index ? `index ${index.version}` : 'an index: none is here'}`,
    );
  }
  // Revoked counts before the digest and under every policy: development is no reason to run what is known to be bad.
  if (listing.state === 'revoked') {
    throw new PackageError('REVOKED', `${name} is revoked${listing.advisory ? `: ${listing.advisory}` : ''}`);
  }
  if (listing.sha256 !== pinned.sha256 && policy.require.length > 0) {
    throw new PackageError(
      'DIGEST_MISMATCH',
      `${name} has digest ${listing.sha256} in the index, not the installed one`,
    );
  }
}

/** Says who of those that count signed. */
interface Signers {
  readonly publisher: boolean;
  readonly marketplace: boolean;
  /** The publisher is the platform. */
  readonly isPlatform: boolean;
}

function findSigners({ envelope, index, pinned }: PackageCheck): Signers {
  if (!envelope || !index) return { publisher: false, marketplace: false, isPlatform: false };
  const { indexKeys, platformNamespaces, platformKeys } = index.root;
  const namespace = pinned.id.split('/')[0] ?? '';
  const isPlatform = platformNamespaces.includes(namespace);
  const publisher = Object.hasOwn(index.publishers, namespace) ? index.publishers[namespace] : undefined;
  // Who publishes for the platform says the root: an index key, which is online, must not give those namespaces away.
  const keys = isPlatform ? platformKeys : (publisher?.keys ?? []);
  // One key in two lists is one party: the marketplace does not become a publisher by listing its own key.
  const own = new Set(indexKeys.map(({ keyid }) => keyid));
  const hasSigned = (entries: readonly KeyEntry[]): boolean =>
    verifySignatures(envelope, readKeyEntries(entries)).size > 0;
  return {
    publisher: hasSigned(keys.filter(({ keyid }) => !own.has(keyid))),
    marketplace: hasSigned(indexKeys),
    isPlatform,
  };
}

function checkPackage({ envelope, pinned, contractVersion }: PackageCheck, pkg: PluginPackage): void {
  const { name, version, engines, permissions } = pkg.manifest;
  if (name !== pinned.id || version !== pinned.version) {
    const message = `the package is ${name}@${version}, installed was ${pinned.id}@${pinned.version}`;
    throw new PackageError('STATEMENT_MISMATCH', message);
  }
  const differing = envelope ? compareStatement(readStatement(envelope), pkg) : [];
  if (differing.length > 0) {
    throw new PackageError(
      'STATEMENT_MISMATCH',
      `statement and package differ in ${differing.slice(0, 10).join(', ')}`,
    );
  }
  if (!fitsEngine(engines.gateway, contractVersion)) {
    const message = `it needs plugin contract ${engines.gateway}, this gateway has ${contractVersion}`;
    throw new PackageError('ENGINE_MISMATCH', message);
  }
  const gaps = comparePermissions(pinned.granted, permissions);
  if (gaps.length > 0) {
    const pointers = gaps.slice(0, 10).map(({ pointer }) => pointer);
    throw new PackageError('PERMISSIONS_EXCEED_GRANT', `it asks for more than was granted: ${pointers.join(', ')}`);
  }
}
