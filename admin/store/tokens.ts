// Keeps admin tokens: only their hashes.
// Must not see a token in clear longer than it takes to hash it.
import { createHash } from 'node:crypto';
import type { Knex } from 'knex';
import type { Actor, Role } from '../call.ts';

/** Is a token without its secret. */
export interface TokenRow {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly createdAt: string;
  readonly lastUsedAt: string | null;
}

/** Is a token to be kept. */
export interface NewToken {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly token: string;
}

// 256 random bits need no slow hash, and a fast one costs every request nothing.
function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('base64url');
}

/** Finds who owns a token, and notes at most once a minute that it was used. */
export async function findActor(knex: Knex, token: string): Promise<Actor | undefined> {
  const hash = hashToken(token);
  const result = await knex.raw(
    `SELECT id, name, role, last_used_at IS NULL OR last_used_at < now() - interval '1 minute' AS is_stale
     FROM admin_tokens WHERE token_hash = ?`,
    [hash],
  );
  const [row] = result.rows;
  if (row === undefined) return undefined;
  if (row.is_stale) await knex.raw('UPDATE admin_tokens SET last_used_at = now() WHERE token_hash = ?', [hash]);
  return { tokenId: row.id, name: row.name, role: row.role };
}

/** Lists tokens by name. */
export async function listTokens(knex: Knex): Promise<TokenRow[]> {
  const rows: readonly Readonly<Record<string, unknown>>[] = await knex('admin_tokens').select('*').orderBy('name');
  return rows.map((row) => ({
    id: String(row['id']),
    name: String(row['name']),
    role: row['role'] as Role,
    createdAt: (row['created_at'] as Date).toISOString(),
    lastUsedAt: row['last_used_at'] === null ? null : (row['last_used_at'] as Date).toISOString(),
  }));
}

/** Keeps a token. */
export async function insertToken(knex: Knex, { id, name, role, token }: NewToken): Promise<void> {
  await knex('admin_tokens').insert({ id, name, role, token_hash: hashToken(token) });
}

/** Revokes a token. */
export async function deleteToken(knex: Knex, id: string): Promise<void> {
  await knex('admin_tokens').where({ id }).delete();
}

/** Makes `token` the one named `bootstrap`, of role owner; whatever it was before no longer holds. */
export async function putBootstrapToken(knex: Knex, id: string, token: string): Promise<void> {
  await knex.raw(
    `INSERT INTO admin_tokens (id, name, role, token_hash) VALUES (?, 'bootstrap', 'owner', ?)
     ON CONFLICT (name) DO UPDATE SET role = 'owner', token_hash = excluded.token_hash
     WHERE admin_tokens.token_hash <> excluded.token_hash OR admin_tokens.role <> 'owner'`,
    [id, hashToken(token)],
  );
}
