// Writes and lists audit events: who did what, and the diff.
// Must not see a secret: diffs arrive with secrets hidden.
import type { Knex } from 'knex';
import { writeRows } from './rows.ts';

/** Is one event to be written. */
export interface NewAuditEvent {
  readonly actor: string;
  readonly action: string;
  readonly kind: string;
  readonly id: string;
  readonly revision: number | null;
  readonly diff: unknown;
}

/** Narrows a list of events; an absent field narrows nothing. */
export interface AuditFilter {
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  readonly kind?: string | undefined;
  readonly entity?: string | undefined;
  readonly revision?: number | undefined;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  /** Only events older than this one. */
  readonly before?: number | undefined;
}

/** Is one event as read. */
export interface AuditEvent {
  readonly id: number;
  readonly createdAt: string;
  readonly actor: string;
  readonly action: string;
  readonly entityKind: string;
  readonly entityId: string;
  readonly revision: number | null;
  readonly diff: unknown;
}

const INSERT_EVENTS = `
  INSERT INTO audit_events (actor, action, entity_kind, entity_id, revision, diff)
  SELECT * FROM jsonb_to_recordset(?::jsonb) AS r (actor text, action text, kind text, id text, revision bigint, diff jsonb)`;

/** Writes events. */
export async function writeAudit(transaction: Knex.Transaction, events: readonly NewAuditEvent[]): Promise<void> {
  await writeRows(transaction, INSERT_EVENTS, events);
}

/** Lists events, newest first. */
export async function listAudit(knex: Knex, filter: AuditFilter, limit: number): Promise<AuditEvent[]> {
  const query = knex('audit_events').select('*').orderBy('id', 'desc').limit(limit);
  const equal = {
    actor: filter.actor,
    action: filter.action,
    entity_kind: filter.kind,
    entity_id: filter.entity,
    revision: filter.revision,
  };
  for (const [column, value] of Object.entries(equal)) if (value !== undefined) query.where(column, value);
  if (filter.since !== undefined) query.where('created_at', '>=', new Date(filter.since));
  if (filter.until !== undefined) query.where('created_at', '<', new Date(filter.until));
  if (filter.before !== undefined) query.where('id', '<', filter.before);
  const rows: readonly Readonly<Record<string, unknown>>[] = await query;
  return rows.map((row) => ({
    id: Number(row['id']),
    createdAt: (row['created_at'] as Date).toISOString(),
    actor: String(row['actor']),
    action: String(row['action']),
    entityKind: String(row['entity_kind']),
    entityId: String(row['entity_id']),
    revision: row['revision'] === null ? null : Number(row['revision']),
    diff: row['diff'],
  }));
}
