// Takes a package from its publisher: checks it, and keeps it as a version that waits for a review.
// Must not approve anything.
import type { Answer, Call } from '../call.ts';
import { AdminError } from '../errors.ts';
import type { Knex } from '../store/database.ts';
import { addPlugin } from '../store/marketplace/plugins.ts';
import { findPublisher, listPublishers } from '../store/marketplace/publishers.ts';
import { countPending, findVersion, insertVersion, listVersions, type Version } from '../store/marketplace/versions.ts';
import { requireNamespace } from './access.ts';
import type { Check } from './checks/check.ts';
import { checkPackage } from './checks/package.ts';
import { checkStanding } from './checks/standing.ts';
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
  const { marketplace } = call.services;
  requireIndexKey(marketplace.authority);
  return await marketplace.inTurn(async () => {
    const submission = openSubmission(decodeBase64(body.package, '/package'), body.envelope);
    const publisher = await call.services.database.run((knex) => findPublisher(knex, submission.namespace));
    // Asked here too, so that nobody makes this service parse what it would not take.
    requireNamespace(call.actor, submission.namespace, publisher);
    const checks = await checkPackage(submission);
    return await writeMarketplace(call, (transaction) => keep(call, transaction, { submission, checks, show }));
  });
}

/** Shows a version as the answer of a write. */
export type ShowVersion = (version: Version, call: Call) => Promise<unknown>;

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
  const { id, namespace, bytes } = submission;
  const { manifest, configSchema, sha256, readme = null, changelog = null } = submission.package;
  const { version } = manifest;
  const publishers = await listPublishers(transaction);
  const found = publishers.find((one) => one.namespace === namespace);
  const publisher = requireNamespace(call.actor, namespace, found);
  const existing = await findVersion(transaction, id, version);
  if (existing !== undefined) return { answer: { status: 200, body: await show(checkSame(existing, sha256), call) } };
  const root = await readTrustedRoot(transaction, call.services.marketplace.authority);
  const keys = listPublisherKeys(namespace, publisher.keys, root);
  const envelope = keepSignatures(submission.envelope, keys);
  if ((await countPending(transaction, namespace)) >= MAX_PENDING) {
    throw new AdminError('CONFLICT', `${MAX_PENDING} versions of ${namespace} wait for a review already.`);
  }
  const before = newestApproved(await listVersions(transaction, id));
  const standing = { keys, namespaces: publishers.map((one) => one.namespace), before };
  const all = [...checks, ...checkStanding({ ...submission, envelope }, standing)];
  // What its publisher did not sign is kept for nobody: it would only use up the version.
  if (all.some(({ name, result }) => name === 'signature' && result === 'failed')) {
    throw refuse('/envelope/signatures', `expected a signature by a key of ${namespace}`, 'SIGNATURE_MISSING');
  }
  await addPlugin(transaction, { id, namespace, manifest });
  await insertVersion(
    transaction,
    {
      plugin: id,
      version,
      sha256,
      manifest,
      configSchema,
      envelope,
      readme,
      changelog,
      state: 'pending',
      advisory: null,
      checks: all,
      publishedBy: call.actor.name,
    },
    bytes,
  );
  const made = await findVersion(transaction, id, version);
  return {
    answer: {
      status: 201,
      location: `/v1/marketplace/plugins/${id}/versions/${version}`,
      body: made && (await show(made, call)),
    },
    event: {
      kind: 'version',
      id: `${id}@${version}`,
      verb: 'create',
      action: 'version.publish',
      diff: [{ pointer: '', after: { sha256, state: 'pending' } }],
    },
    preview: { checks: all },
  };
}

function checkSame(existing: Version, sha256: string): Version {
  if (existing.sha256 === sha256) return existing;
  const { plugin, version } = existing;
  throw new AdminError('VERSION_EXISTS', `${plugin}@${version} was published with other bytes; raise the version.`);
}

/** Finds the newest version that may be installed. */
export function newestApproved(versions: readonly Version[]): Version | undefined {
  const approved = versions.filter(({ state }) => state === 'approved' || state === 'deprecated');
  return approved.sort((one, other) => compareVersions(other.version, one.version))[0];
}
