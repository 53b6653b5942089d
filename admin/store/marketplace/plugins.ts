// Keeps the catalogue: a line per plugin, as its latest version describes it, searched in Postgres.
// Must not decide which version is the latest.
import type { Knex } from 'knex';
import type { Manifest } from '../../../gateway/core/manifest.ts';
import type { VersionState } from '../../marketplace/states.ts';

/** Is one line of the catalogue. */
export interface PluginLine {
  /** `namespace/name`. */
  readonly id: string;
  readonly namespace: string;
  readonly title: string;
  readonly summary: string;
  readonly categories: readonly string[];
  /** The version to install; null while none is approved. */
  readonly latestVersion: string | null;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly publisher: { readonly title: string; readonly level: number };
  /** How many versions wait for a review, as far as the viewer may see them. */
  readonly pending: number;
}

/** Says who looks: whoever may see what is not approved, sees all or some namespaces. */
export interface Viewer {
  readonly seesAll: boolean;
  readonly namespaces: readonly string[];
}

/** Narrows the catalogue; an absent field narrows nothing. */
export interface CatalogueFilter {
  readonly search?: string | undefined;
  readonly category?: string | undefined;
  readonly state?: VersionState | undefined;
  /** Only plugins behind this id. */
  readonly after?: string | undefined;
}

// Casts are written out: knex reads `:name:` as an identifier.
const SELECT = `
  SELECT p.id, p.namespace, p.title, p.summary, p.categories, p.latest_version, p.created_at, p.updated_at,
    b.title AS publisher_title, b.level, (
      SELECT CAST(count(*) AS int) FROM marketplace_versions v WHERE v.plugin = p.id AND v.state = 'pending'
        AND (CAST(:seesAll AS boolean) OR p.namespace = ANY (CAST(:namespaces AS text[])))) AS pending
  FROM marketplace_plugins p JOIN publishers b ON b.namespace = p.namespace
  WHERE (CAST(:seesAll AS boolean) OR p.namespace = ANY (CAST(:namespaces AS text[])) OR EXISTS (
    SELECT FROM marketplace_versions v WHERE v.plugin = p.id AND v.state NOT IN ('pending', 'rejected')))`;

// Text is compared, not matched: nothing in it can mean anything.
const FILTERS = `
  AND (CAST(:search AS text) IS NULL OR strpos(p.search_text, lower(CAST(:search AS text))) > 0)
  AND (CAST(:category AS text) IS NULL OR CAST(:category AS text) = ANY (p.categories))
  AND (CAST(:state AS text) IS NULL OR EXISTS (
    SELECT FROM marketplace_versions v WHERE v.plugin = p.id AND v.state = CAST(:state AS text)
      AND (v.state NOT IN ('pending', 'rejected')
        OR CAST(:seesAll AS boolean) OR p.namespace = ANY (CAST(:namespaces AS text[])))))
  AND (CAST(:after AS text) IS NULL OR p.id > CAST(:after AS text) COLLATE "C")
  ORDER BY p.id COLLATE "C" LIMIT :limit`;

/** Lists plugins by id. */
export async function listCatalogue(
  knex: Knex,
  viewer: Viewer,
  { limit, search = null, category = null, state = null, after = null }: CatalogueFilterWithLimit,
): Promise<PluginLine[]> {
  const result = await knex.raw(`${SELECT}${FILTERS}`, {
    ...bindViewer(viewer),
    search,
    category,
    state,
    after,
    limit,
  } as Record<string, Knex.Value>);
  return result.rows.map(toLine);
}

type CatalogueFilterWithLimit = { readonly limit: number } & {
  readonly [Key in keyof CatalogueFilter]: CatalogueFilter[Key] | null;
};

/** Finds one plugin, if it is one that the viewer may see. */
export async function findPlugin(knex: Knex, viewer: Viewer, id: string): Promise<PluginLine | undefined> {
  const result = await knex.raw(`${SELECT} AND p.id = :id`, { ...bindViewer(viewer), id } as Record<
    string,
    Knex.Value
  >);
  const [row] = result.rows;
  return row === undefined ? undefined : toLine(row);
}

/** Makes the line of a plugin that is new; one that is there stays. */
export async function addPlugin(
  transaction: Knex.Transaction,
  { id, namespace, manifest }: { readonly id: string; readonly namespace: string; readonly manifest: Manifest },
): Promise<void> {
  await transaction('marketplace_plugins')
    .insert({ id, namespace, ...describe(id, manifest) })
    .onConflict('id')
    .ignore();
}

/** Makes a version the latest, and its manifest what the catalogue says; without one the words stay. */
export async function writeLatest(
  transaction: Knex.Transaction,
  id: string,
  latest: { readonly version: string; readonly manifest: Manifest } | undefined,
): Promise<void> {
  await transaction('marketplace_plugins')
    .where({ id })
    .update({
      latest_version: latest?.version ?? null,
      updated_at: transaction.fn.now(),
      ...(latest === undefined ? {} : describe(id, latest.manifest)),
    });
}

function describe(id: string, manifest: Manifest): Readonly<Record<string, Knex.Value>> {
  const { title, summary, categories = [], keywords = [] } = manifest;
  const text = [id, title, summary, ...categories, ...keywords].join('\n').toLowerCase();
  return { title, summary, categories: [...categories], search_text: text };
}

function bindViewer({ seesAll, namespaces }: Viewer): Readonly<Record<string, unknown>> {
  return { seesAll, namespaces: [...namespaces] };
}

function toLine(row: {
  readonly id: string;
  readonly namespace: string;
  readonly title: string;
  readonly summary: string;
  readonly categories: readonly string[];
  readonly latest_version: string | null;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly publisher_title: string;
  readonly level: number;
  readonly pending: number;
}): PluginLine {
  return {
    id: row.id,
    namespace: row.namespace,
    title: row.title,
    summary: row.summary,
    categories: row.categories,
    latestVersion: row.latest_version,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
    publisher: { title: row.publisher_title, level: row.level },
    pending: row.pending,
  };
}
