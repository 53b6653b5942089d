// The checks that ask what else there is: the namespace's keys, other namespaces, the version approved before.
// Must not look into the code.
import { verifySignatures } from '../../../gateway/package/dsse.ts';
import { type KeyEntry, readKeyEntries } from '../../../gateway/package/keys.ts';
import { comparePermissions } from '../../../gateway/package/permissions.ts';
import type { Version } from '../../store/marketplace/versions.ts';
import type { Submission } from '../submission.ts';
import { type Check, failed, passed, warned } from './check.ts';
import { listSimilar } from './similarity.ts';

/** Is what stands around a submission. */
export interface Standing {
  /** Those that publish in the namespace. */
  readonly keys: readonly KeyEntry[];
  readonly namespaces: readonly string[];
  /** The newest version that was approved before. */
  readonly before: Pick<Version, 'version' | 'manifest'> | undefined;
}

/** Runs the checks. */
export function checkStanding(submission: Submission, { keys, namespaces, before }: Standing): readonly Check[] {
  return [
    checkNamespace(submission.namespace, namespaces),
    checkPermissions(submission, before),
    checkSignature(submission, keys),
  ];
}

function checkNamespace(namespace: string, namespaces: readonly string[]): Check {
  const similar = listSimilar(namespace, namespaces);
  if (similar.length === 0) return passed('namespace', 'No other namespace looks like it.');
  return warned('namespace', `Could be taken for ${similar.slice(0, 5).join(', ')}.`);
}

function checkPermissions({ package: { manifest } }: Submission, before: Standing['before']): Check {
  if (before === undefined) return passed('permissions', 'The first version; look at all that it asks for.');
  const gaps = comparePermissions(before.manifest.permissions, manifest.permissions);
  if (gaps.length === 0) return passed('permissions', `Asks for nothing beyond ${before.version}.`);
  const listed = gaps.map(({ pointer, granted, wanted }) => `${pointer}: ${show(granted)} to ${show(wanted)}`);
  return warned('permissions', `Asks for more than ${before.version}: ${listed.join('; ')}.`);
}

function show(value: unknown): string {
  return value === null || value === undefined ? 'nothing' : JSON.stringify(value);
}

function checkSignature({ envelope, namespace }: Submission, keys: readonly KeyEntry[]): Check {
  const [keyid] = verifySignatures(envelope, readKeyEntries(keys));
  if (keyid === undefined) return failed('signature', `Not signed by a key of ${namespace}.`);
  return passed('signature', `Signed by the key ${keyid} of ${namespace}.`);
}
