// Root and index: who may vouch for packages, and what has been published. Both are signed documents.
// Must not read files or the time: callers bring the pinned keys, the clock and the versions seen before.
import type { KeyObject } from 'node:crypto';
import type { JsonSchema } from '../core/schemas.ts';
import { type Envelope, verifySignatures } from './dsse.ts';
import { PackageError } from './errors.ts';
import { type KeyEntry, readKeyEntries } from './keys.ts';
import { PLUGIN_ID } from './package.ts';
import {
  digest,
  keyEntries,
  readSigned,
  readTime,
  type SignedKind,
  time,
  VERSION_PATTERN,
  writeSigned,
} from './signed-data.ts';

/** Is the payload type of the root. */
export const ROOT_TYPE = 'application/vnd.sallyport.root.v1+json';
/** Is the payload type of the index. */
export const INDEX_TYPE = 'application/vnd.sallyport.index.v1+json';

/** Says whose word counts. Signed by root keys, which are kept offline. */
export interface Root {
  /** Goes up with every root; a gateway refuses a lower one than it has seen. */
  readonly version: number;
  readonly expires: string;
  /** Sign the index, and the approval of a version (the marketplace's signature). They are kept online. */
  readonly indexKeys: readonly KeyEntry[];
  /** Namespaces that belong to the makers of the gateway; what an index says of their publishers does not count. */
  readonly platformNamespaces: readonly string[];
  /** Publish in those namespaces. What they sign may run without a sandbox, for which an index key is not enough. */
  readonly platformKeys: readonly KeyEntry[];
}

/** Says what may become of a version. */
export type VersionState = 'approved' | 'deprecated' | 'yanked' | 'revoked';

/** Is one version in the index. */
export interface IndexedVersion {
  readonly sha256: string;
  readonly state: VersionState;
  readonly advisory?: string;
}

/** Is one namespace in the index. 0: unverified, 1: e-mail, 2: domain, 3: reviewed organisation. */
export interface IndexedPublisher {
  readonly keys: readonly KeyEntry[];
  readonly level: 0 | 1 | 2 | 3;
}

/** Lists all publishers and published versions with their states. Signed by an index key. */
export interface PluginIndex {
  /** Goes up with every index; a gateway refuses a lower one than it has seen. */
  readonly version: number;
  readonly issuedAt: string;
  readonly expires: string;
  readonly publishers: Readonly<Record<string, IndexedPublisher>>;
  readonly plugins: Readonly<Record<string, Readonly<Record<string, IndexedVersion>>>>;
}

/** Is an index whose signatures have been verified, with the root that vouches for it. */
export interface TrustedIndex extends PluginIndex {
  readonly root: Root;
}

const NAMESPACE_PATTERN = '^[a-z0-9][a-z0-9-]{0,63}$';
const version: JsonSchema = { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER };

const ROOT: SignedKind = {
  payloadType: ROOT_TYPE,
  code: 'ROOT_INVALID',
  schema: {
    title: 'Root',
    type: 'object',
    additionalProperties: false,
    required: ['version', 'expires', 'indexKeys', 'platformNamespaces', 'platformKeys'],
    properties: {
      version,
      expires: time,
      indexKeys: { ...keyEntries, minItems: 1 },
      platformNamespaces: { type: 'array', maxItems: 100, items: { type: 'string', pattern: NAMESPACE_PATTERN } },
      platformKeys: keyEntries,
    },
  },
};

const INDEX: SignedKind = {
  payloadType: INDEX_TYPE,
  code: 'INDEX_INVALID',
  schema: {
    title: 'Index',
    type: 'object',
    additionalProperties: false,
    required: ['version', 'issuedAt', 'expires', 'publishers', 'plugins'],
    properties: {
      version,
      issuedAt: time,
      expires: time,
      publishers: {
        type: 'object',
        propertyNames: { pattern: NAMESPACE_PATTERN },
        additionalProperties: {
          type: 'object',
          additionalProperties: false,
          required: ['keys', 'level'],
          properties: { keys: keyEntries, level: { enum: [0, 1, 2, 3] } },
        },
      },
      plugins: {
        type: 'object',
        propertyNames: { pattern: PLUGIN_ID.source },
        additionalProperties: {
          type: 'object',
          propertyNames: { pattern: VERSION_PATTERN },
          additionalProperties: {
            type: 'object',
            additionalProperties: false,
            required: ['sha256', 'state'],
            properties: {
              sha256: digest,
              state: { enum: ['approved', 'deprecated', 'yanked', 'revoked'] },
              advisory: { type: 'string', maxLength: 2_000 },
            },
          },
        },
      },
    },
  },
};

/** Signs a root; `addSignature` adds those of other root keys. @throws PackageError ROOT_INVALID */
export function signRoot(root: Root, key: KeyObject): Envelope {
  checkRoot(root);
  return writeSigned(ROOT, root, key);
}

/** Signs an index. @throws PackageError INDEX_INVALID */
export function signIndex(index: PluginIndex, key: KeyObject): Envelope {
  return writeSigned(INDEX, index, key);
}

/**
 * Opens a root that more than half of the pinned keys signed: the one key, both of two, two of three. An expired root is
 * opened too; `openIndex` says so. `minVersion` is the highest version seen before.
 * @throws PackageError ENVELOPE_INVALID, ROOT_UNTRUSTED, ROOT_INVALID, ROOT_OUTDATED
 */
export function openRoot(
  envelope: Envelope,
  pinnedKeys: ReadonlyMap<string, KeyObject>,
  { minVersion = 0 }: { readonly minVersion?: number } = {},
): Root {
  const signers = verifySignatures(envelope, pinnedKeys).size;
  if (signers * 2 <= pinnedKeys.size || signers === 0) {
    const message = `${signers} of ${pinnedKeys.size} pinned root keys signed the root; more than half have to`;
    throw new PackageError('ROOT_UNTRUSTED', message);
  }
  const root = readSigned(ROOT, envelope) as Root;
  checkRoot(root);
  if (root.version < minVersion) {
    throw new PackageError('ROOT_OUTDATED', `the root is version ${root.version}; ${minVersion} was seen before`);
  }
  return root;
}

function checkRoot(root: Root): void {
  readTime(root.expires, 'ROOT_INVALID');
  readKeyEntries(root.indexKeys);
  readKeyEntries(root.platformKeys);
}

/**
 * Opens an index that a key of the root signed. An expired one is opened and said to be: that it is old is a reason to
 * raise an alarm, not to stop what runs. `minVersion` is the highest version seen before.
 * @throws PackageError ENVELOPE_INVALID, INDEX_UNTRUSTED, INDEX_INVALID, INDEX_OUTDATED
 */
export function openIndex(
  envelope: Envelope,
  root: Root,
  { minVersion, nowMs }: { readonly minVersion: number; readonly nowMs: number },
): { readonly index: TrustedIndex; readonly isExpired: boolean } {
  if (verifySignatures(envelope, readKeyEntries(root.indexKeys)).size === 0) {
    throw new PackageError('INDEX_UNTRUSTED', 'no index key of the root signed the index');
  }
  const index = readSigned(INDEX, envelope) as PluginIndex;
  if (index.version < minVersion) {
    throw new PackageError('INDEX_OUTDATED', `the index is version ${index.version}; ${minVersion} was seen before`);
  }
  readTime(index.issuedAt, 'INDEX_INVALID');
  const isExpired =
    nowMs >= readTime(index.expires, 'INDEX_INVALID') || nowMs >= readTime(root.expires, 'ROOT_INVALID');
  return { index: { ...index, root }, isExpired };
}
