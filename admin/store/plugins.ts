// Keeps the list of installed plugins as data.
// Must not hold code.
import type { Knex } from 'knex';
import type { InstalledPlugin } from '../../gateway/core/manifest.ts';
import { writeRows } from './rows.ts';

/** Is one installed version of a plugin. */
export interface PluginRow {
  readonly name: string;
  readonly version: string;
  readonly source: string;
  readonly manifest: InstalledPlugin['manifest'];
  readonly configSchema: InstalledPlugin['configSchema'];
  readonly installedAt: string;
}

const UPSERT_PLUGINS = `
  INSERT INTO plugins (name, version, source, manifest, config_schema)
  SELECT * FROM jsonb_to_recordset(?::jsonb) AS r (name text, version text, source text, manifest jsonb, config_schema jsonb)
  ON CONFLICT (name, version) DO UPDATE SET source = excluded.source, manifest = excluded.manifest,
    config_schema = excluded.config_schema`;

const DELETE_OTHERS = `
  DELETE FROM plugins WHERE source = 'folder' AND NOT EXISTS (
    SELECT FROM jsonb_to_recordset(?::jsonb) AS r (name text, version text)
    WHERE r.name = plugins.name AND r.version = plugins.version)`;

/** Makes the table tell which plugins lie in the plugin folders. */
export async function syncPlugins(transaction: Knex.Transaction, plugins: Iterable<InstalledPlugin>): Promise<void> {
  const rows = [...plugins].map(({ manifest, configSchema }) => ({
    name: manifest.name,
    version: manifest.version,
    source: 'folder',
    manifest,
    config_schema: configSchema,
  }));
  await writeRows(transaction, UPSERT_PLUGINS, rows);
  await transaction.raw(DELETE_OTHERS, [JSON.stringify(rows.map(({ name, version }) => ({ name, version })))]);
}

/** Lists the installed plugins by name. */
export async function listPlugins(knex: Knex): Promise<PluginRow[]> {
  const rows: readonly Readonly<Record<string, unknown>>[] = await knex('plugins')
    .select('*')
    .orderBy(['name', 'version']);
  return rows.map((row) => ({
    name: String(row['name']),
    version: String(row['version']),
    source: String(row['source']),
    manifest: row['manifest'] as PluginRow['manifest'],
    configSchema: row['config_schema'] as PluginRow['configSchema'],
    installedAt: (row['installed_at'] as Date).toISOString(),
  }));
}
