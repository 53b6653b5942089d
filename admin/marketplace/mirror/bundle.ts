// The bundle: root, index, envelopes and packages in one signed file, for places without a network.
// Must not read or write the database.
import type { KeyObject } from 'node:crypto';
import { readJson } from '../../../gateway/core/json.ts';
import { createSlicer } from '../../../gateway/core/slicer.ts';
import {
  type Envelope,
  readEnvelope,
  readPayload,
  signEnvelope,
  verifySignatures,
} from '../../../gateway/package/dsse.ts';
import { PackageError } from '../../../gateway/package/errors.ts';
import { readKeyEntries } from '../../../gateway/package/keys.ts';
import { openIndex, openRoot, type Root, type TrustedIndex } from '../../../gateway/package/trust.ts';
import { AdminError } from '../../errors.ts';
import { listPublisherKeys } from '../signatures.ts';
import { openSubmission, type Submission } from '../submission.ts';

/** Is the payload type of the list of contents. */
export const BUNDLE_TYPE = 'application/vnd.sallyport.bundle.v1+json';

/** Largest sum of packages in one bundle, in bytes: with base64 it stays below the largest body. */
export const MAX_BUNDLED_BYTES: number = 44 * 1024 * 1024;

/** Is one version in the list of contents. */
export interface BundledVersion {
  readonly plugin: string;
  readonly version: string;
  readonly sha256: string;
  readonly envelope: Envelope;
}

/** Is the list of contents: what is signed. */
interface Contents {
  readonly type: 'sallyport-bundle/v1';
  readonly root: Envelope;
  readonly index: Envelope;
  readonly versions: readonly BundledVersion[];
}

/** Is a bundle as it travels. The list is signed, and names every package by its digest. */
export interface Bundle {
  readonly contents: Envelope;
  readonly packages: readonly { readonly sha256: string; readonly bytes: string }[];
}

/** Is a bundle of which every signature and digest has been verified. */
export interface OpenBundle {
  readonly root: Root;
  readonly rootEnvelope: Envelope;
  readonly index: TrustedIndex;
  readonly indexEnvelope: Envelope;
  readonly isExpired: boolean;
  readonly submissions: readonly Submission[];
}

/** Builds a bundle; each package once, however many versions share it. */
export function buildBundle(
  contents: Omit<Contents, 'type'>,
  packages: ReadonlyMap<string, Uint8Array>,
  key: KeyObject,
): Bundle {
  const list: Contents = { type: 'sallyport-bundle/v1', ...contents };
  return {
    contents: signEnvelope(BUNDLE_TYPE, Buffer.from(JSON.stringify(list)), key),
    packages: [...packages].map(([sha256, bytes]) => ({ sha256, bytes: Buffer.from(bytes).toString('base64') })),
  };
}

/** Says what a bundle is held against. */
export interface BundleTrust {
  readonly rootKeys: ReadonlyMap<string, KeyObject>;
  /** Versions seen before; a bundle with lower ones is refused. */
  readonly minRootVersion: number;
  readonly minIndexVersion: number;
  readonly nowMs: number;
}

/**
 * Opens a bundle and verifies all of it: root by its keys, index and list by the root, each version by index, publisher and
 * marketplace.
 *
 * @throws BUNDLE_REFUSED naming the part that is wrong
 */
export async function openBundle(bundle: Bundle, trust: BundleTrust): Promise<OpenBundle> {
  const slicer = createSlicer();
  try {
    const list = readContents(bundle.contents);
    const root = openRoot(list.root, trust.rootKeys, { minVersion: trust.minRootVersion });
    const indexKeys = readKeyEntries(root.indexKeys);
    if (verifySignatures(bundle.contents, indexKeys).size === 0) throw refuse('no index key of its root signed it');
    const { index, isExpired } = openIndex(list.index, root, {
      minVersion: trust.minIndexVersion,
      nowMs: trust.nowMs,
    });
    const packages = new Map(bundle.packages.map(({ sha256, bytes }) => [sha256, bytes]));
    const submissions: Submission[] = [];
    for (const one of list.versions) {
      submissions.push(openVersion(one, packages.get(one.sha256), index));
      await slicer.step();
    }
    return { root, rootEnvelope: list.root, index, indexEnvelope: list.index, isExpired, submissions };
  } catch (error) {
    if (error instanceof PackageError) throw refuse(error.message, error.code);
    if (error instanceof SyntaxError) throw refuse(error.message);
    if (error instanceof AdminError && error.code === 'PACKAGE_REFUSED') throw refuse(error.message);
    throw error;
  }
}

function readContents(data: unknown): Contents {
  const value: unknown = readJson(readPayload(readEnvelope(data), BUNDLE_TYPE));
  const { type, root, index, versions } = (value ?? {}) as Readonly<Record<keyof Contents, unknown>>;
  if (type !== 'sallyport-bundle/v1' || !Array.isArray(versions)) throw refuse('its list of contents is malformed');
  return { type, root: readEnvelope(root), index: readEnvelope(index), versions: versions.map(readVersion) };
}

function readVersion(value: unknown): BundledVersion {
  const { plugin, version, sha256, envelope } = (value ?? {}) as Readonly<Record<keyof BundledVersion, unknown>>;
  if (typeof plugin !== 'string' || typeof version !== 'string' || typeof sha256 !== 'string') {
    throw refuse('its list of contents is malformed');
  }
  return { plugin, version, sha256, envelope: readEnvelope(envelope) };
}

function openVersion(listed: BundledVersion, base64: string | undefined, index: TrustedIndex): Submission {
  const name = `${listed.plugin}@${listed.version}`;
  if (base64 === undefined) throw refuse(`the package of ${name} is missing`);
  const submission = openSubmission(Buffer.from(base64, 'base64'), listed.envelope);
  const { id, namespace, envelope, package: opened } = submission;
  const isNamed = id === listed.plugin && opened.manifest.version === listed.version;
  if (!isNamed || opened.sha256 !== listed.sha256) throw refuse(`the package of ${name} is another one`);
  const entry = find(find(index.plugins, id), listed.version);
  if (entry?.sha256 !== opened.sha256) throw refuse(`${name} is not in its index`);
  const own = find(index.publishers, namespace)?.keys ?? [];
  for (const keys of [index.root.indexKeys, listPublisherKeys(namespace, own, index.root)]) {
    if (verifySignatures(envelope, readKeyEntries(keys)).size === 0) {
      throw refuse(`${name} is not signed by both its publisher and the marketplace`);
    }
  }
  return submission;
}

/** Own properties only: names in a bundle are a stranger's. */
function find<Value>(record: Readonly<Record<string, Value>> | undefined, key: string): Value | undefined {
  return record !== undefined && Object.hasOwn(record, key) ? record[key] : undefined;
}

/** Builds the refusal of a bundle. */
export function refuse(message: string, reason?: string): AdminError {
  return new AdminError('BUNDLE_REFUSED', `The bundle is refused: ${message}.`, {
    problems: [{ pointer: '/bundle', message }],
    ...(reason === undefined ? {} : { facts: { reason } }),
  });
}
