// Takes a package from its publisher: checks it, and keeps it as a version that waits for a review.
// Must not approve anything.
import type { Answer, Call } from '../call.ts';
import { AdminError } from '../errors.ts';
import type { Knex } from '../store/database.ts';
import { addPlugin } from '../store/marketplace/plugins.ts';
import { listPublishers } from '../store/marketplace/publishers.ts';
import { countPending, findVersion, insertVersion, listVersions, type Version } from '../store/marketplace/versions.ts';
import { requireNamespace } from './access.ts';
import type { Check } from './checks/check.ts';
import { checkStanding, type Standing } from './checks/standing.ts';
import { checkSubmission } from './checks/submission.ts';
import { readTrustedRoot, requireIndexKey } from './make-index.ts';
import { compareVersions } from './semver.ts';
import { keepSignatures, listPublisherKeys } from './signatures.ts';
import { decodeBase64, openSubmission, refuse, type Submission } from './submission.ts';
import { type MarketplaceWrite, writeMarketplace } from './write.ts';

/** Most versions of a namespace that may wait for a review: a lost token must not be able to fill the database. */
const MAX_PENDING = 20;

/** Is the body of a publication. */
export interface PublishBody {
  /** Base64 of the package. */
  readonly package: string;
  readonly envelope: unknown;
}

/**
 * Publishes a version. The same bytes again change nothing and are answered with what is there.
 *
 * @throws PACKAGE_REFUSED, NAMESPACE_FOREIGN, VERSION_EXISTS, SIGNING_UNAVAILABLE, CONFLICT when too many wait for a review
 */
export async function publishVersion(call: Call, body: PublishBody, show: ShowVersion): Promise<Answer> {
  const { marketplace, database } = call.services;
  requireIndexKey(marketplace.authority);
  return await marketplace.inTurn(async () => {
    const submission = openSubmission(decodeBase64(body.package, '/package'), body.envelope);
    // Asked here too: nobody makes this service parse and try what it would not take.
    const { existing } = await database.run((knex) => look(call, knex, submission));
    const checks = existing === undefined ? await checkSubmission(submission) : [];
    return await writeMarketplace(call, (transaction) => keep(call, transaction, { submission, checks, show }));
  });
}

/** Shows a version as the answer of a write. */
export type ShowVersion = (version: Version, call: Call) => Promise<unknown>;

interface Outlook {
  /** The version that is there already, with the same bytes. */
  readonly existing: Version | undefined;
  /** With the signatures that count. */
  readonly signed: Submission;
  readonly standing: Standing;
}

/** Looks whether the caller may publish this. @throws NAMESPACE_FOREIGN, VERSION_EXISTS, PACKAGE_REFUSED, CONFLICT */
async function look(call: Call, knex: Knex, submission: Submission): Promise<Outlook> {
  const { id, namespace } = submission;
  const publishers = await listPublishers(knex);
  const found = publishers.find((one) => one.namespace === namespace);
  const publisher = requireNamespace(call.actor, namespace, found);
  const existing = await findVersion(knex, id, submission.package.manifest.version);
  if (existing !== undefined) checkSame(existing, submission);
  const root = await readTrustedRoot(knex, call.services.marketplace.authority);
  const keys = listPublisherKeys(namespace, publisher.keys, root);
  const envelope = keepSignatures(submission.envelope, keys);
  // What its publisher did not sign would only use up the version.
  if (existing === undefined && envelope.signatures.length === 0) {
    throw refuse('/envelope/signatures', `expected a signature by a key of ${namespace}`, 'SIGNATURE_MISSING');
  }
  if (existing === undefined && (await countPending(knex, namespace)) >= MAX_PENDING) {
    throw new AdminError('CONFLICT', `${MAX_PENDING} versions of ${namespace} wait for a review already.`);
  }
  const before = newestApproved(await listVersions(knex, id));
  const namespaces = publishers.map((one) => one.namespace);
  return { existing, signed: { ...submission, envelope }, standing: { keys, namespaces, before } };
}

function checkSame(existing: Version, submission: Submission): void {
  if (existing.sha256 === submission.package.sha256) return;
  const { plugin, version } = existing;
  throw new AdminError('VERSION_EXISTS', `${plugin}@${version} was published with other bytes; raise the version.`);
}

interface Keeping {
  readonly submission: Submission;
  readonly checks: readonly Check[];
  readonly show: ShowVersion;
}

async function keep(
  call: Call,
  transaction: Knex.Transaction,
  { submission, checks, show }: Keeping,
): Promise<MarketplaceWrite> {
  const { existing, signed, standing } = await look(call, transaction, submission);
  if (existing !== undefined) return { answer: { status: 200, body: await show(existing, call) } };
  const all = [...checks, ...checkStanding(signed, standing)];
  const made = await insert(transaction, { submission: signed, checks: all, publishedBy: call.actor.name });
  const { plugin, version, sha256, state } = made;
  return {
    answer: {
      status: 201,
      location: `/v1/marketplace/plugins/${plugin}/versions/${version}`,
      body: await show(made, call),
    },
    event: {
      kind: 'version',
      id: `${plugin}@${version}`,
      verb: 'create',
      action: 'version.publish',
      diff: [{ pointer: '', after: { sha256, state } }],
    },
    preview: { checks: all },
  };
}

interface Inserting {
  readonly submission: Submission;
  readonly checks: readonly Check[];
  readonly publishedBy: string;
}

async function insert(transaction: Knex.Transaction, { submission, checks, publishedBy }: Inserting): Promise<Version> {
  const { id, namespace, envelope, bytes } = submission;
  const { manifest, configSchema, sha256, readme = null, changelog = null } = submission.package;
  const { version } = manifest;
  const texts = { readme, changelog, advisory: null };
  await addPlugin(transaction, { id, namespace, manifest });
  await insertVersion(
    transaction,
    { plugin: id, version, sha256, manifest, configSchema, envelope, ...texts, state: 'pending', checks, publishedBy },
    bytes,
  );
  const made = await findVersion(transaction, id, version);
  if (made === undefined) throw new Error(`${id}@${version} is gone as soon as it was written`);
  return made;
}

/** Finds the newest version that may be installed. */
export function newestApproved(versions: readonly Version[]): Version | undefined {
  const approved = versions.filter(({ state }) => state === 'approved' || state === 'deprecated');
  return approved.sort((one, other) => compareVersions(other.version, one.version))[0];
}
