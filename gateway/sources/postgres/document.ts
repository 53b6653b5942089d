// Reads the document from Postgres: whole, or what changed since a revision. Admin and nodes read it through here alone.
// Must not write, and must not keep anything.
import type { Knex } from 'knex';
import { KINDS } from '../../core/config.ts';
import type { Change, EntityKind, Update } from '../../core/model.ts';
import * as rows from './rows.ts';

/** Runs a statement with `$1`, `$2` ..., each used once and in order, and gives its rows. */
export type RunSql = <Row>(sql: string, values?: readonly unknown[]) => Promise<readonly Row[]>;

/** Is a document as it was read: in an order in which nothing refers to something later. */
export interface StoredDocument {
  readonly revision: number;
  readonly changes: readonly Change[];
}

/** Lists what a node compiles; consumers and credentials are looked up, not compiled. */
export const COMPILED_KINDS: readonly EntityKind[] = ['certificate', 'upstream', 'api', 'install', 'binding'];

/** Rows of one statement: parsing them holds the event loop for a few milliseconds. */
const PAGE_ROWS = 500;

/** Past these bounds reading the whole document costs less than what changed. Bytes are as stored, compressed. */
const MAX_REVISIONS_BEHIND = 1_000;
const MAX_BYTES_BEHIND = 32 * 1024 * 1024;

const SELECTS: { readonly [Kind in EntityKind]: { readonly sql: string; toChange(row: never): Change } } = {
  certificate: {
    sql: 'SELECT e.* FROM certificates e',
    toChange: (row: rows.CertificateRow) => ({ kind: 'certificate', id: row.id, after: rows.toCertificate(row) }),
  },
  upstream: {
    sql: `SELECT e.*, (SELECT coalesce(json_agg(json_build_object('host', t.host, 'port', t.port, 'weight', t.weight)
            ORDER BY t.position), '[]') FROM targets t WHERE t.upstream_id = e.id) AS targets
          FROM upstreams e`,
    toChange: (row: rows.UpstreamRow) => ({ kind: 'upstream', id: row.id, after: rows.toUpstream(row) }),
  },
  api: {
    sql: `SELECT e.*, u.name AS upstream_name,
            (SELECT coalesce(json_agg(r ORDER BY r.position), '[]') FROM routes r WHERE r.api_id = e.id) AS routes
          FROM apis e LEFT JOIN upstreams u ON u.id = e.upstream_id`,
    toChange: (row: rows.ApiRow) => ({ kind: 'api', id: row.id, after: rows.toApi(row) }),
  },
  consumer: {
    sql: `SELECT e.*, ARRAY(SELECT g.group_name FROM consumer_groups g WHERE g.consumer_id = e.id
            ORDER BY g.group_name COLLATE "C") AS groups
          FROM consumers e`,
    toChange: (row: rows.ConsumerRow) => ({ kind: 'consumer', id: row.id, after: rows.toConsumer(row) }),
  },
  credential: {
    sql: 'SELECT e.* FROM credentials e',
    toChange: (row: rows.CredentialRow) => ({ kind: 'credential', id: row.id, after: rows.toCredential(row) }),
  },
  install: {
    sql: 'SELECT e.* FROM installs e',
    toChange: (row: rows.InstallRow) => ({ kind: 'install', id: row.id, after: rows.toInstall(row) }),
  },
  binding: {
    sql: 'SELECT e.* FROM bindings e',
    toChange: (row: rows.BindingRow) => ({ kind: 'binding', id: row.id, after: rows.toBinding(row) }),
  },
};

// One statement sees one state of the database: were the numbers and the changes read apart, a revision could slip between.
const SELECT_NEWS = `
  WITH news AS (
    SELECT number, changes FROM revisions WHERE number > $1 ORDER BY number LIMIT ${MAX_REVISIONS_BEHIND + 1}
  ), summary AS (
    SELECT (SELECT revision FROM publication) AS current, count(*) AS found,
      coalesce(sum(pg_column_size(changes)), 0) <= ${MAX_BYTES_BEHIND} AS is_small
    FROM news
  )
  SELECT summary.*, latest.* FROM summary LEFT JOIN LATERAL (
    SELECT DISTINCT ON (kind, id) c ->> 'kind' AS kind, c ->> 'id' AS id, c -> 'after' AS after
    FROM news, jsonb_array_elements(news.changes) AS c
    ORDER BY kind, id, number DESC
  ) AS latest ON summary.found <= ${MAX_REVISIONS_BEHIND} AND summary.is_small`;

interface NewsRow {
  readonly current: string;
  readonly found: string;
  readonly is_small: boolean;
  readonly kind: string | null;
  readonly id: string;
  readonly after: unknown;
}

/** Reads the whole document. Outside a transaction it opens one, so that all of it is of one revision. */
export async function readDocument(knex: Knex): Promise<StoredDocument> {
  if (knex.isTransaction) return readDocumentWith(fromKnex(knex), KINDS);
  return knex.transaction((transaction) => readDocumentWith(fromKnex(transaction), KINDS), {
    isolationLevel: 'repeatable read',
    readOnly: true,
  });
}

/**
 * Reads what changed since `revision` as one update, of several changes to an entity only the last. Undefined when the
 * whole document must be read instead: revisions are missing, too many or too big, or the database is behind `revision`.
 */
export async function readChangesSince(knex: Knex, revision: number): Promise<Update | undefined> {
  return readChangesSinceWith(fromKnex(knex), revision);
}

/** Reads the entities of `kinds`. The caller's transaction makes them one state. */
export async function readDocumentWith(run: RunSql, kinds: readonly EntityKind[]): Promise<StoredDocument> {
  const revision = await readRevisionWith(run);
  const changes: Change[] = [];
  for (const kind of kinds) {
    for await (const page of readPages(run, kind)) changes.push(...page);
  }
  return { revision, changes };
}

/** Reads all entities of one kind, page by page, so that the event loop turns in between. */
export async function* readPages(run: RunSql, kind: EntityKind): AsyncGenerator<readonly Change[]> {
  const { sql, toChange } = SELECTS[kind];
  let last: string | undefined;
  do {
    const range = last === undefined ? '' : 'WHERE e.id > $1';
    const page = await run<never>(`${sql} ${range} ORDER BY e.id LIMIT ${PAGE_ROWS}`, last === undefined ? [] : [last]);
    const changes = page.map(toChange);
    yield changes;
    last = page.length === PAGE_ROWS ? changes.at(-1)?.id : undefined;
  } while (last !== undefined);
}

/** Does what `readChangesSince` does over any connection. */
export async function readChangesSinceWith(run: RunSql, revision: number): Promise<Update | undefined> {
  const news = await run<NewsRow>(SELECT_NEWS, [revision]);
  const summary = news[0];
  const isWhole = summary !== undefined && Number(summary.found) === Number(summary.current) - revision;
  if (!isWhole || !summary.is_small || Number(summary.found) > MAX_REVISIONS_BEHIND) return undefined;
  const changes = KINDS.flatMap((kind) => news.filter((row) => row.kind === kind).map((row) => toChange(kind, row)));
  return { revision: Number(summary.current), isReset: false, changes };
}

/** Reads the current revision. */
export async function readRevisionWith(run: RunSql): Promise<number> {
  const [publication] = await run<{ revision: string }>('SELECT revision FROM publication');
  if (!publication) throw new Error('the database has no publication row: it was not migrated');
  return Number(publication.revision);
}

function toChange(kind: EntityKind, { id, after }: NewsRow): Change {
  // The writer stored it in the form of the model; the pair of kind and entity cannot be told to the compiler.
  return (after === null ? { kind, id } : { kind, id, after }) as Change;
}

function fromKnex(knex: Knex): RunSql {
  return async <Row>(sql: string, values: readonly unknown[] = []) => {
    const result: { rows: readonly Row[] } = await knex.raw(sql.replaceAll(/\$\d/g, '?'), [
      ...values,
    ] as Knex.RawBinding[]);
    return result.rows;
  };
}
