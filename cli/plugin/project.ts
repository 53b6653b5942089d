// Reads a plugin's project folder: what it says about itself, what can be configured, its fixtures.
// Must not run the plugin's code.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readManifest } from '../../gateway/core/config.ts';
import { ConfigError } from '../../gateway/core/errors.ts';
import type { Manifest } from '../../gateway/core/manifest.ts';
import type { JsonSchema } from '../../gateway/core/schemas.ts';
import { buildValidator } from '../../gateway/core/validate.ts';
import type { FixtureFile } from '../../gateway/testing.ts';
import { describeProblems } from '../admin-client.ts';
import { CommandError } from '../output.ts';
import { writeConfigTypes } from './config-types.ts';

/** Is a plugin's project as data. */
export interface PluginProject {
  readonly folder: string;
  readonly manifest: Manifest;
  readonly configSchema: JsonSchema;
  readonly fixtures: readonly FixtureFile[];
}

/** Names the file that is written from the schema. */
export const CONFIG_TYPES = 'src/config.ts';

/** Reads a project and brings the types of its configuration up to date. @throws CommandError naming the file at fault. */
export async function readProject(folder: string): Promise<PluginProject> {
  const manifest = await readManifestFile(folder);
  const configSchema = await readSchemaFile(folder);
  await updateConfigTypes(folder, configSchema);
  return { folder, manifest, configSchema, fixtures: await readFixtureFiles(folder) };
}

async function readManifestFile(folder: string): Promise<Manifest> {
  const value = await readJsonFile(folder, 'manifest.json');
  try {
    return readManifest(value);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new CommandError(`manifest.json:\n${describeProblems(error.problems)}`);
  }
}

async function readSchemaFile(folder: string): Promise<JsonSchema> {
  const schema = (await readJsonFile(folder, 'config.schema.json')) as JsonSchema;
  try {
    buildValidator(schema);
    return schema;
  } catch (error) {
    throw new CommandError(`config.schema.json: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function readJsonFile(folder: string, name: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(join(folder, name), 'utf8'));
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    const reason = isMissing ? `there is none in ${folder}; is this a plugin's folder?` : String(error);
    throw new CommandError(`${name}: ${reason}`);
  }
}

async function readFixtureFiles(folder: string): Promise<readonly FixtureFile[]> {
  const names = await readdir(join(folder, 'fixtures')).catch((): string[] => []);
  const files = names.filter((name) => name.endsWith('.json')).sort();
  return Promise.all(
    files.map(async (name) => ({ name, text: await readFile(join(folder, 'fixtures', name), 'utf8') })),
  );
}

// Written only when it differs, so that watchers and version control see no change where there is none.
async function updateConfigTypes(folder: string, schema: JsonSchema): Promise<void> {
  const path = join(folder, CONFIG_TYPES);
  const text = writeConfigTypes(schema);
  const old = await readFile(path, 'utf8').catch(() => undefined);
  if (old !== text) await writeFile(path, text);
}
