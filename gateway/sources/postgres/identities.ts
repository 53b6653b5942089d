// Reads consumers and credentials for the credentials directory: one by lookup, or all of them page by page.
// Must not open a sealed secret, and must not cache.
import type { Change, Consumer, Credential } from '../../core/model.ts';
import { type RunSql, readPages, readRevisionWith } from './document.ts';
import { type CredentialRow, toConsumer, toCredential } from './rows.ts';

/** Is a credential with its consumer, as stored. */
export interface StoredIdentity {
  readonly credential: Credential;
  readonly consumer: Consumer;
}

/** Takes what `readIdentities` reads, page by page; consumers come before credentials. */
export interface IdentitySink {
  /** Says how many credentials there are at which revision. Gives false when they are not wanted. */
  begin(revision: number, credentials: number): boolean;
  take(page: readonly Change[]): void;
}

interface IdentityRow extends CredentialRow {
  readonly username: string;
  readonly custom_id: string | null;
  readonly groups: readonly string[];
  readonly consumer_tags: readonly string[];
  readonly consumer_created_at: Date;
  readonly consumer_updated_at: Date;
}

const SELECT_IDENTITY = `
  SELECT c.*, k.username, k.custom_id, k.tags AS consumer_tags, k.created_at AS consumer_created_at,
    k.updated_at AS consumer_updated_at,
    ARRAY(SELECT g.group_name FROM consumer_groups g WHERE g.consumer_id = k.id ORDER BY g.group_name COLLATE "C") AS groups
  FROM credentials c JOIN consumers k ON k.id = c.consumer_id
  WHERE c.type = $1 AND c.lookup = $2`;

/** Finds a credential and who owns it; undefined when there is none. */
export async function findCredential(run: RunSql, type: string, lookup: string): Promise<StoredIdentity | undefined> {
  const [row] = await run<IdentityRow>(SELECT_IDENTITY, [type, lookup]);
  if (!row) return undefined;
  const consumer = {
    ...row,
    id: row.consumer_id,
    tags: row.consumer_tags,
    created_at: row.consumer_created_at,
    updated_at: row.consumer_updated_at,
  };
  return { credential: toCredential(row), consumer: toConsumer(consumer) };
}

/** Reads all consumers and credentials. The caller's transaction makes them one state. Gives false when they were not wanted. */
export async function readIdentities(run: RunSql, sink: IdentitySink): Promise<boolean> {
  const revision = await readRevisionWith(run);
  const [row] = await run<{ count: string }>('SELECT count(*) AS count FROM credentials');
  if (!sink.begin(revision, Number(row?.count))) return false;
  for (const kind of ['consumer', 'credential'] as const) {
    for await (const page of readPages(run, kind)) sink.take(page);
  }
  return true;
}
