// Writes a set of changed entities to the configuration tables, in an order that no foreign key or unique name refuses.
// Must not decide what changes.
import type { Knex } from 'knex';
import type { EntityKind, EntityOf } from '../../gateway/core/model.ts';
import type { EntityChange } from '../document/draft.ts';
import { deleteApis, writeApis } from './apis.ts';
import { deleteBindings, insertBindings } from './bindings.ts';
import { deleteCertificates, insertCertificates } from './certificates.ts';
import { deleteConsumers, deleteCredentials, insertCredentials, writeConsumers, writeGroups } from './consumers.ts';
import { deleteInstalls, insertInstalls } from './installs.ts';
import { deleteUpstreams, releaseUpstreamNames, writeUpstreams } from './upstreams.ts';

/** Writes the changes. Deletes come first where another entity may take the name, last where something refers to it. */
export async function writeChanges(transaction: Knex.Transaction, changes: readonly EntityChange[]): Promise<void> {
  const written = <Kind extends EntityKind>(kind: Kind): EntityOf[Kind][] =>
    changes.flatMap((change) =>
      change.kind === kind && change.after !== null ? [change.after as EntityOf[Kind]] : [],
    );
  const removed = (kind: EntityKind): string[] =>
    changes.flatMap((change) => (change.kind === kind && change.after === null ? [change.id] : []));
  const replaced = (kind: EntityKind): string[] =>
    changes.flatMap((change) => (change.kind === kind && change.before !== null ? [change.id] : []));

  await deleteBindings(transaction, replaced('binding'));
  await deleteCredentials(transaction, replaced('credential'));
  // Upstreams name them, but no row refers to theirs.
  await deleteCertificates(transaction, replaced('certificate'));
  await insertCertificates(transaction, written('certificate'));
  await deleteInstalls(transaction, replaced('install'));
  await insertInstalls(transaction, written('install'));
  await deleteApis(transaction, removed('api'));
  await deleteConsumers(transaction, removed('consumer'));
  await releaseUpstreamNames(transaction, removed('upstream'));
  await writeUpstreams(transaction, written('upstream'));
  await writeApis(transaction, written('api'));
  // Apis refer to upstreams until now.
  await deleteUpstreams(transaction, removed('upstream'));
  const consumers = written('consumer');
  const bindings = written('binding');
  const groups = [
    ...consumers.flatMap((consumer) => consumer.groups),
    ...bindings.flatMap(({ scope }) => scope.group ?? []),
  ];
  await writeGroups(transaction, groups);
  await writeConsumers(transaction, consumers);
  await insertCredentials(transaction, written('credential'));
  await insertBindings(transaction, bindings);
}
