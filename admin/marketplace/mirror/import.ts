// Takes a bundle in, to where there is no network.
// Must not believe a bundle beyond what its signatures say, and never goes back to an older index.
import type { KeyObject } from 'node:crypto';
import { addSignature, type Envelope } from '../../../gateway/package/dsse.ts';
import { PackageError } from '../../../gateway/package/errors.ts';
import { keyIdOf, readPublicKeys } from '../../../gateway/package/keys.ts';
import type { IndexedVersion } from '../../../gateway/package/trust.ts';
import type { Answer, Call } from '../../call.ts';
import { invalidField } from '../../errors.ts';
import type { Knex } from '../../store/database.ts';
import { addPlugin, writeLatest } from '../../store/marketplace/plugins.ts';
import {
  addPublisherKey,
  deletePublisherKey,
  findPublisher,
  putPublisher,
} from '../../store/marketplace/publishers.ts';
import {
  findIndex,
  findOrigin,
  findRoot,
  insertIndex,
  insertRoot,
  writeOrigin,
} from '../../store/marketplace/signed.ts';
import { findVersion, insertVersion, listVersions, writeState } from '../../store/marketplace/versions.ts';
import { passed } from '../checks/check.ts';
import { makeIndex, readTrustedRoot, requireIndexKey } from '../make-index.ts';
import { newestApproved } from '../publish-version.ts';
import { keepSignatures } from '../signatures.ts';
import { PUBLIC_STATES, type VersionState } from '../states.ts';
import type { Submission } from '../submission.ts';
import { type MarketplaceWrite, writeMarketplace } from '../write.ts';
import { type Bundle, type OpenBundle, openBundle, refuse } from './bundle.ts';

/** Is the body of an import. */
export interface ImportBody {
  readonly bundle: Bundle;
  /** Public keys of the root of another marketplace, PEM or base64; absent = the root trusted here. */
  readonly root?: string;
}

/**
 * Takes a bundle in: all of it or nothing. From the root trusted here, a service that signs nothing itself takes the index as
 * it is. From another root that was named, versions are approved here too, by this service's own key: its gateways go on
 * trusting one root.
 *
 * @throws BUNDLE_REFUSED, SIGNING_UNAVAILABLE, CONFIG_INVALID
 */
export async function importBundle(call: Call, body: ImportBody): Promise<Answer> {
  const { authority } = call.services.marketplace;
  const named = body.root === undefined ? undefined : readRoot(body.root);
  const rootKeys = named ?? authority.rootKeys;
  const isForeign = [...rootKeys.keys()].some((keyid) => !authority.rootKeys.has(keyid));
  if (rootKeys.size === 0) throw invalidField('/root', 'expected a public key: this service trusts no root yet');
  if (isForeign) requireIndexKey(authority);
  const origin = isForeign ? [...rootKeys.keys()].sort().join(',') : undefined;
  const { database, marketplace } = call.services;
  return await marketplace.inTurn(async () => {
    const seen = await database.run((knex) => readSeen(knex, origin));
    const open = await openBundle(body.bundle, { ...seen, rootKeys, nowMs: marketplace.nowMs() });
    return await writeMarketplace(call, (transaction) => takeIn(call, transaction, { open, origin }));
  });
}

interface Import {
  readonly open: OpenBundle;
  /** Names the other root; undefined = it is the one trusted here. */
  readonly origin: string | undefined;
}

async function takeIn(call: Call, transaction: Knex.Transaction, taken: Import): Promise<MarketplaceWrite> {
  const { marketplace, log } = call.services;
  const { authority } = marketplace;
  const { origin, open } = taken;
  const seen = await readSeen(transaction, origin);
  if (open.root.version < seen.minRootVersion || open.index.version < seen.minIndexVersion) {
    throw refuse('a newer one was taken in meanwhile');
  }
  const counts = await writeVersions(call, transaction, taken);
  if (origin !== undefined) {
    await writeOrigin(transaction, origin, { rootVersion: open.root.version, indexVersion: open.index.version });
  } else if (open.root.version > seen.minRootVersion) {
    await insertRoot(transaction, open.root.version, open.rootEnvelope);
  }
  if (authority.indexKey !== undefined) {
    await makeIndex(transaction, { authority, log, nowMs: marketplace.nowMs() });
  } else if (open.index.version > seen.minIndexVersion) {
    await insertIndex(transaction, open.index.version, open.indexEnvelope);
  }
  const told = {
    ...counts,
    rootVersion: open.root.version,
    indexVersion: open.index.version,
    isExpired: open.isExpired,
  };
  return {
    answer: { body: told },
    event: {
      kind: 'bundle',
      id: origin ?? 'own',
      verb: 'create',
      action: 'bundle.import',
      diff: [{ pointer: '', after: told }],
    },
    preview: told,
  };
}

async function readSeen(
  knex: Knex,
  origin: string | undefined,
): Promise<{ readonly minRootVersion: number; readonly minIndexVersion: number }> {
  if (origin !== undefined) {
    const before = await findOrigin(knex, origin);
    return { minRootVersion: before?.rootVersion ?? 0, minIndexVersion: before?.indexVersion ?? 0 };
  }
  const [root, index] = [await findRoot(knex), await findIndex(knex)];
  return { minRootVersion: root?.version ?? 0, minIndexVersion: index?.version ?? 0 };
}

interface Counts {
  readonly added: number;
  readonly changed: number;
}

async function writeVersions(call: Call, transaction: Knex.Transaction, { open, origin }: Import): Promise<Counts> {
  await writePublishers(call, transaction, { open, origin });
  const added = new Set<string>();
  const envelopes = new Map<string, Envelope>();
  for (const submission of open.submissions) {
    const name = `${submission.id}@${submission.package.manifest.version}`;
    envelopes.set(name, submission.envelope);
    if (await addVersion(call, transaction, { submission, origin })) added.add(name);
  }
  const touched = new Set(open.submissions.map(({ id }) => id));
  let changed = 0;
  for (const [plugin, versions] of Object.entries(open.index.plugins)) {
    for (const [version, entry] of Object.entries(versions)) {
      const name = `${plugin}@${version}`;
      const isChanged = await bringTo(transaction, { plugin, version, entry, envelope: envelopes.get(name) });
      if (isChanged) touched.add(plugin);
      if (isChanged && !added.has(name)) changed += 1;
    }
  }
  for (const plugin of touched) {
    await writeLatest(transaction, plugin, newestApproved(await listVersions(transaction, plugin)));
  }
  return { added: added.size, changed };
}

interface Bringing {
  readonly plugin: string;
  readonly version: string;
  readonly entry: IndexedVersion;
  /** Absent when the bundle does not hold the package. */
  readonly envelope: Envelope | undefined;
}

/** Brings a version that is here into the state that the bundle's index says, unless it may do less here already. */
async function bringTo(
  transaction: Knex.Transaction,
  { plugin, version, entry, envelope }: Bringing,
): Promise<boolean> {
  const there = await findVersion(transaction, plugin, version);
  // Packages of what cannot be installed do not travel.
  if (there === undefined) return false;
  if (there.sha256 !== entry.sha256) throw refuse(`${plugin}@${version} is another package here`);
  const isPublic = PUBLIC_STATES.includes(there.state);
  // What waits for a review here is approved by an envelope that says so, and by nothing less.
  if (!isPublic && envelope === undefined) return false;
  const state = isPublic ? stricter(there.state, entry.state) : entry.state;
  if (state === there.state) return false;
  await writeState(transaction, there, {
    state,
    advisory: entry.advisory ?? null,
    ...(isPublic || envelope === undefined ? {} : { envelope }),
  });
  return true;
}

/** Gives the state that lets a version do less: neither side takes back what the other decided. */
function stricter(here: VersionState, there: VersionState): VersionState {
  return PUBLIC_STATES.indexOf(there) > PUBLIC_STATES.indexOf(here) ? there : here;
}

async function writePublishers(call: Call, transaction: Knex.Transaction, { open, origin }: Import): Promise<void> {
  const wanted = new Set(open.submissions.map(({ namespace }) => namespace));
  const platform =
    origin === undefined
      ? []
      : (await readTrustedRoot(transaction, call.services.marketplace.authority)).platformNamespaces;
  for (const [namespace, { keys, level }] of Object.entries(open.index.publishers)) {
    if (!wanted.has(namespace)) continue;
    if (platform.includes(namespace)) throw refuse(`the namespace ${namespace} is the platform's here`);
    const there = await findPublisher(transaction, namespace);
    if (there !== undefined && origin !== undefined && there.origin !== origin) {
      throw refuse(`the namespace ${namespace} belongs to somebody else here`);
    }
    await putPublisher(transaction, {
      namespace,
      title: there?.title ?? namespace,
      level,
      token: there?.token ?? null,
      origin: origin ?? null,
    });
    const gone = (there?.keys ?? []).filter(({ keyid }) => !keys.some((key) => key.keyid === keyid));
    for (const { keyid } of gone) await deletePublisherKey(transaction, namespace, keyid);
    for (const key of keys) await addPublisherKey(transaction, namespace, key);
  }
}

/** Keeps a version that is new here. */
async function addVersion(
  call: Call,
  transaction: Knex.Transaction,
  { submission, origin }: { readonly submission: Submission; readonly origin: string | undefined },
): Promise<boolean> {
  const { id, namespace, bytes, envelope } = submission;
  const { manifest, configSchema, sha256, readme = null, changelog = null } = submission.package;
  const there = await findVersion(transaction, id, manifest.version);
  if (there !== undefined) return false;
  await addPlugin(transaction, { id, namespace, manifest });
  await insertVersion(
    transaction,
    {
      plugin: id,
      version: manifest.version,
      sha256,
      manifest,
      configSchema,
      envelope: origin === undefined ? envelope : await approve(call, transaction, submission),
      readme,
      changelog,
      state: 'approved',
      advisory: null,
      checks: [passed('package', 'Imported in a bundle: approved by the marketplace that it comes from.')],
      publishedBy: call.actor.name,
    },
    bytes,
  );
  return true;
}

/** Signs what another marketplace approved, in the place of its signature. */
async function approve(call: Call, transaction: Knex.Transaction, submission: Submission): Promise<Envelope> {
  const publisher = await findPublisher(transaction, submission.namespace);
  const own = keepSignatures(submission.envelope, publisher?.keys ?? []);
  return addSignature(own, requireIndexKey(call.services.marketplace.authority));
}

function readRoot(text: string): ReadonlyMap<string, KeyObject> {
  try {
    const keys = readPublicKeys(text);
    return new Map([...keys.values()].map((key) => [keyIdOf(key), key]));
  } catch (error) {
    if (error instanceof PackageError) throw invalidField('/root', error.message);
    throw error;
  }
}
