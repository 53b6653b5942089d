// Keeps publishers: namespaces, the token each belongs to, and their public keys.
// Must not see a private key.
import type { Knex } from 'knex';

/** Is one public key of a namespace; `publicKey` is base64 of its SPKI. */
export interface PublisherKey {
  readonly keyid: string;
  readonly publicKey: string;
  readonly createdAt: string;
}

/** Is one namespace. */
export interface Publisher {
  readonly namespace: string;
  readonly title: string;
  /** 0 unverified, 1 e-mail, 2 domain, 3 reviewed organisation. */
  readonly level: 0 | 1 | 2 | 3;
  /** Name of the token that publishes here; null = owners only. */
  readonly token: string | null;
  /** Key id of the root it was imported under; null = published here. */
  readonly origin: string | null;
  readonly createdAt: string;
  readonly keys: readonly PublisherKey[];
}

/** Is what can be said about a namespace. */
export type PublisherFields = Pick<Publisher, 'namespace' | 'title' | 'level' | 'token' | 'origin'>;

const SELECT = `
  SELECT p.*, coalesce((
    SELECT jsonb_agg(jsonb_build_object('keyid', k.keyid, 'publicKey', k.public_key,
      'createdAt', to_char(k.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) ORDER BY k.created_at, k.keyid)
    FROM publisher_keys k WHERE k.namespace = p.namespace), '[]') AS keys
  FROM publishers p`;

/** Lists the publishers by namespace. */
export async function listPublishers(knex: Knex): Promise<Publisher[]> {
  const result = await knex.raw(`${SELECT} ORDER BY p.namespace`);
  return result.rows.map(toPublisher);
}

/** Finds a publisher by its namespace. */
export async function findPublisher(knex: Knex, namespace: string): Promise<Publisher | undefined> {
  const result = await knex.raw(`${SELECT} WHERE p.namespace = ?`, [namespace]);
  const [row] = result.rows;
  return row === undefined ? undefined : toPublisher(row);
}

/** Makes a publisher, or changes what is said about one. */
export async function putPublisher(transaction: Knex.Transaction, publisher: PublisherFields): Promise<void> {
  const { namespace, title, level, token, origin } = publisher;
  await transaction('publishers')
    .insert({ namespace, title, level, token_name: token, origin })
    .onConflict('namespace')
    .merge(['title', 'level', 'token_name']);
}

/** Adds a key; one that is there stays as it is. */
export async function addPublisherKey(
  transaction: Knex.Transaction,
  namespace: string,
  { keyid, publicKey }: Pick<PublisherKey, 'keyid' | 'publicKey'>,
): Promise<void> {
  await transaction('publisher_keys')
    .insert({ namespace, keyid, public_key: publicKey })
    .onConflict(['namespace', 'keyid'])
    .ignore();
}

/** Takes a key away. */
export async function deletePublisherKey(
  transaction: Knex.Transaction,
  namespace: string,
  keyid: string,
): Promise<void> {
  await transaction('publisher_keys').where({ namespace, keyid }).delete();
}

function toPublisher(row: {
  readonly namespace: string;
  readonly title: string;
  readonly level: Publisher['level'];
  readonly token_name: string | null;
  readonly origin: string | null;
  readonly created_at: Date;
  readonly keys: readonly PublisherKey[];
}): Publisher {
  return {
    namespace: row.namespace,
    title: row.title,
    level: row.level,
    token: row.token_name,
    origin: row.origin,
    createdAt: row.created_at.toISOString(),
    keys: row.keys,
  };
}
