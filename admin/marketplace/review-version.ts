// Decides about versions: the review of what waits, and later changes of state. Each makes a new index.
// Must not change what was published.
import { isDeepStrictEqual } from 'node:util';
import { addSignature } from '../../gateway/package/dsse.ts';
import type { Answer, Call } from '../call.ts';
import { AdminError, invalidField } from '../errors.ts';
import type { Knex } from '../store/database.ts';
import { writeLatest } from '../store/marketplace/plugins.ts';
import { findPublisher, listPublishers } from '../store/marketplace/publishers.ts';
import {
  findPackage,
  findVersion,
  listVersions,
  type Version,
  writeDecision,
  writeState,
} from '../store/marketplace/versions.ts';
import { isOwn, isVisible, viewerOf } from './access.ts';
import type { Check } from './checks/check.ts';
import { checkStanding } from './checks/standing.ts';
import { checkSubmission } from './checks/submission.ts';
import { makeIndex, readTrustedRoot, requireIndexKey } from './make-index.ts';
import { newestApproved, type ShowVersion } from './publish-version.ts';
import { listPublisherKeys } from './signatures.ts';
import { findTransition, listTargets, mayTake, type Transition, type VersionState } from './states.ts';
import { openSubmission, type Submission } from './submission.ts';
import { type MarketplaceWrite, writeMarketplace } from './write.ts';

/** Names a version. */
export interface VersionRef {
  /** `namespace/name`. */
  readonly plugin: string;
  readonly version: string;
}

/** Is the body of a review. */
export interface ReviewBody {
  readonly decision: 'approve' | 'reject';
  readonly note?: string;
  /** Digest of what the reviewer looked at; anything else is not decided upon. */
  readonly sha256?: string;
}

/**
 * Approves or rejects a version that waits. Everything is checked anew: what was stored may be old, or not what it was.
 *
 * @throws NOT_FOUND, STATE_REFUSED, CHECKS_FAILED, PRECONDITION_FAILED, SIGNING_UNAVAILABLE
 */
export async function reviewVersion(
  call: Call,
  { ref, body, show }: { readonly ref: VersionRef; readonly body: ReviewBody; readonly show: ShowVersion },
): Promise<Answer> {
  const { services } = call;
  const key = requireIndexKey(services.marketplace.authority);
  const to: VersionState = body.decision === 'approve' ? 'approved' : 'rejected';
  return await services.marketplace.inTurn(async () => {
    const seen = await services.database.run((knex) => getVersion(call, knex, ref));
    checkStep(call, { version: seen, to, through: 'review', isOwnNamespace: false });
    if (body.sha256 !== undefined && body.sha256 !== seen.sha256) {
      throw new AdminError('PRECONDITION_FAILED', `The package of this version has the digest ${seen.sha256}.`);
    }
    // What is no package any more can still be rejected.
    const submission = to === 'approved' ? await readSubmission(call, seen) : undefined;
    const checks = submission === undefined ? seen.checks : await checkSubmission(submission);
    return await writeMarketplace(call, async (transaction) => {
      const version = await getVersion(call, transaction, ref);
      if (!isDeepStrictEqual(version, seen)) throw new AdminError('CONFLICT', 'It changed meanwhile; read it again.');
      const all = submission === undefined ? checks : await checkAgain(call, transaction, { submission, checks });
      await writeDecision(transaction, version, {
        state: to,
        envelope: to === 'approved' ? addSignature(version.envelope, key) : version.envelope,
        checks: all,
        reviewedBy: call.actor.name,
        reviewNote: body.note ?? null,
      });
      if (to === 'approved') await announce(call, transaction, ref.plugin);
      return await describe(call, transaction, { version, to, action: `version.${body.decision}`, show });
    });
  });
}

/** Is the body of a change of state. */
export interface StateBody {
  readonly state: VersionState;
  readonly advisory?: string;
}

/**
 * Brings a version that was approved into another state.
 *
 * @throws NOT_FOUND, STATE_REFUSED, ROLE_INSUFFICIENT, CONFIG_INVALID, SIGNING_UNAVAILABLE
 */
export async function changeState(
  call: Call,
  { ref, body, show }: { readonly ref: VersionRef; readonly body: StateBody; readonly show: ShowVersion },
): Promise<Answer> {
  requireIndexKey(call.services.marketplace.authority);
  if (body.state === 'revoked' && body.advisory === undefined) {
    throw invalidField('/advisory', 'expected the reason: gateways tell it to those who ran this version');
  }
  return await writeMarketplace(call, async (transaction) => {
    const version = await getVersion(call, transaction, ref);
    const publisher = await findPublisher(transaction, namespaceOf(ref.plugin));
    const isOwnNamespace = publisher !== undefined && isOwn(call.actor, publisher);
    checkStep(call, { version, to: body.state, through: 'state', isOwnNamespace });
    const advisory = body.state === 'approved' ? null : (body.advisory ?? null);
    await writeState(transaction, version, { state: body.state, advisory });
    await announce(call, transaction, ref.plugin);
    return await describe(call, transaction, { version, to: body.state, action: `version.${body.state}`, show });
  });
}

/** Gives the namespace of `namespace/name`. */
export function namespaceOf(plugin: string): string {
  return plugin.split('/')[0] ?? '';
}

/** Finds a version that the caller may see. @throws NOT_FOUND */
export async function getVersion(call: Call, knex: Knex, { plugin, version }: VersionRef): Promise<Version> {
  const found = await findVersion(knex, plugin, version);
  const viewer = viewerOf(call.actor, await listPublishers(knex));
  if (found !== undefined && isVisible(viewer, namespaceOf(plugin), found.state)) return found;
  throw new AdminError('NOT_FOUND', 'There is no such version.');
}

interface Step {
  readonly version: Version;
  readonly to: VersionState;
  readonly through: Transition['through'];
  readonly isOwnNamespace: boolean;
}

function checkStep(call: Call, { version, to, through, isOwnNamespace }: Step): void {
  const { state: from } = version;
  const step = findTransition(from, to, through);
  if (step === undefined) {
    const targets = listTargets(from, through);
    const where = targets.length > 0 ? `only to ${targets.join(', ')}` : 'nowhere this way';
    throw new AdminError('STATE_REFUSED', `It is ${from}, from which it goes ${where}.`);
  }
  if (!mayTake(step, call.actor.role, isOwnNamespace)) {
    const who = step.roles.join(' or ');
    throw new AdminError('ROLE_INSUFFICIENT', `From ${from} to ${to} takes the role ${who}, of this namespace.`);
  }
}

async function readSubmission(call: Call, version: Version): Promise<Submission> {
  const bytes = await call.services.database.run((knex) => findPackage(knex, version.sha256));
  const submission = bytes && openSubmission(bytes, version.envelope);
  const isSame =
    submission?.package.sha256 === version.sha256 &&
    submission.id === version.plugin &&
    submission.package.manifest.version === version.version;
  if (submission !== undefined && isSame) return submission;
  throw new AdminError('CHECKS_FAILED', 'What the database holds is not the package that was published.');
}

async function checkAgain(
  call: Call,
  transaction: Knex.Transaction,
  { submission, checks }: { readonly submission: Submission; readonly checks: readonly Check[] },
): Promise<readonly Check[]> {
  const publishers = await listPublishers(transaction);
  const publisher = publishers.find(({ namespace }) => namespace === submission.namespace);
  if (publisher === undefined) throw new AdminError('NOT_FOUND', 'Its publisher is gone.');
  const before = newestApproved(await listVersions(transaction, submission.id));
  const namespaces = publishers.map(({ namespace }) => namespace);
  const root = await readTrustedRoot(transaction, call.services.marketplace.authority);
  const keys = listPublisherKeys(submission.namespace, publisher.keys, root);
  const all = [...checks, ...checkStanding(submission, { keys, namespaces, before })];
  const bad = all.filter(({ result }) => result === 'failed');
  if (bad.length === 0) return all;
  const listed = bad.map(({ name, detail }) => `${name}: ${detail}`).join(' ');
  throw new AdminError('CHECKS_FAILED', listed, {
    problems: bad.map(({ name, detail }) => ({ pointer: '', message: `${name}: ${detail}` })),
  });
}

/** Brings catalogue and index up to what the versions now are. */
async function announce(call: Call, transaction: Knex.Transaction, plugin: string): Promise<void> {
  const { marketplace, log } = call.services;
  await writeLatest(transaction, plugin, newestApproved(await listVersions(transaction, plugin)));
  await makeIndex(transaction, { authority: marketplace.authority, log, nowMs: marketplace.nowMs() });
}

async function describe(
  call: Call,
  transaction: Knex.Transaction,
  { version, to, action, show }: Pick<Step, 'version' | 'to'> & { readonly action: string; readonly show: ShowVersion },
): Promise<MarketplaceWrite> {
  const { plugin, version: number, state, sha256 } = version;
  const after = await findVersion(transaction, plugin, number);
  return {
    answer: { body: after && (await show(after, call)) },
    event: {
      kind: 'version',
      id: `${plugin}@${number}`,
      verb: 'update',
      action,
      diff: [
        { pointer: '/state', before: state, after: to },
        { pointer: '/sha256', before: sha256, after: sha256 },
      ],
    },
    preview: { checks: after?.checks ?? [] },
  };
}
