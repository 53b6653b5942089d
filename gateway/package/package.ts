// Opens a package: what is in it, and that it is all there and well formed.
// Must not run its code, and must not say whether to trust it.
import { readManifest } from '../core/config.ts';
import { readJson } from '../core/json.ts';
import type { Manifest } from '../core/manifest.ts';
import { buildSafePattern } from '../core/routing/safe-pattern.ts';
import type { JsonSchema } from '../core/schemas.ts';
import { buildValidator } from '../core/validate.ts';
import { readArchive } from './archive.ts';
import { hashSha256 } from './canonical.ts';
import { PackageError, type PackageErrorCode, reasonOf } from './errors.ts';
import { hashPermissions } from './permissions.ts';
import { checkSchemaProfile, MAX_SCHEMA_BYTES } from './schema-profile.ts';

/** Matches the id of a plugin in a package: `namespace/name`. */
export const PLUGIN_ID: RegExp = /^[a-z0-9][a-z0-9-]{0,63}\/[a-z0-9][a-z0-9-]{0,63}$/;

const MANIFEST = 'manifest.json';
const CONFIG_SCHEMA = 'config.schema.json';
const CODE = 'index.js';
const REQUIRED: readonly string[] = [MANIFEST, CONFIG_SCHEMA, CODE];
const OPTIONAL: readonly string[] = ['README.md', 'CHANGELOG.md', 'LICENSE'];
const FIXTURE = /^fixtures\/([A-Za-z0-9_][A-Za-z0-9_.-]*)\.json$/;

/** Is a package, read and well formed. Digests are SHA-256 in lower-case hex; those of files are of their bytes. */
export interface PluginPackage {
  /** Of the whole package. */
  readonly sha256: string;
  readonly manifest: Manifest;
  readonly manifestSha256: string;
  readonly configSchema: JsonSchema;
  readonly configSchemaSha256: string;
  /** As `hashPermissions` gives it. */
  readonly permissionsSha256: string;
  readonly code: string;
  readonly readme?: string;
  readonly changelog?: string;
  readonly fixtures: readonly { readonly name: string; readonly text: string }[];
  /** Digest of each file by its name. */
  readonly files: Readonly<Record<string, string>>;
}

/**
 * Opens a package.
 * @throws PackageError ARCHIVE_INVALID, ARCHIVE_TOO_LARGE, CONTENT_INVALID, MANIFEST_INVALID, SCHEMA_INVALID
 */
export function openPackage(bytes: Uint8Array): PluginPackage {
  const files = readArchive(bytes);
  checkFiles([...files.keys()]);
  const digests = Object.fromEntries(Array.from(files, ([name, content]) => [name, hashSha256(content)]));
  const manifest = openManifest(textOf(files, MANIFEST));
  const [readme, changelog] = ['README.md', 'CHANGELOG.md'].map((name) => files.has(name) && textOf(files, name));
  return {
    sha256: hashSha256(bytes),
    manifest,
    manifestSha256: digests[MANIFEST] ?? '',
    configSchema: openConfigSchema(textOf(files, CONFIG_SCHEMA)),
    configSchemaSha256: digests[CONFIG_SCHEMA] ?? '',
    permissionsSha256: hashPermissions(manifest.permissions),
    code: textOf(files, CODE),
    ...(typeof readme === 'string' && { readme }),
    ...(typeof changelog === 'string' && { changelog }),
    fixtures: [...files.keys()].flatMap((name) => {
      const fixture = FIXTURE.exec(name)?.[1];
      return fixture === undefined ? [] : [{ name: fixture, text: textOf(files, name) }];
    }),
    files: digests,
  };
}

function checkFiles(names: readonly string[]): void {
  const missing = REQUIRED.find((name) => !names.includes(name));
  if (missing !== undefined) throw new PackageError('CONTENT_INVALID', `${missing} is missing`);
  const known = [...REQUIRED, ...OPTIONAL];
  const stranger = names.find((name) => !known.includes(name) && !FIXTURE.test(name));
  if (stranger === undefined) return;
  throw new PackageError(
    'CONTENT_INVALID',
    `${stranger} is not expected; a package has ${known.join(', ')} and fixtures/*.json`,
  );
}

function openManifest(text: string): Manifest {
  const manifest = attempt('MANIFEST_INVALID', MANIFEST, () => readManifest(readJson(text)));
  if (PLUGIN_ID.test(manifest.name)) return manifest;
  throw new PackageError('MANIFEST_INVALID', `${MANIFEST} /name: expected namespace/name, not ${manifest.name}`);
}

function openConfigSchema(text: string): JsonSchema {
  if (Buffer.byteLength(text) > MAX_SCHEMA_BYTES) {
    throw new PackageError('SCHEMA_INVALID', `${CONFIG_SCHEMA} is larger than ${MAX_SCHEMA_BYTES} bytes`);
  }
  const schema = attempt('SCHEMA_INVALID', CONFIG_SCHEMA, () => readJson(text));
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) {
    throw new PackageError('SCHEMA_INVALID', `${CONFIG_SCHEMA}: expected an object`);
  }
  const configSchema = schema as JsonSchema;
  checkSchemaProfile(configSchema);
  const validate = attempt('SCHEMA_INVALID', CONFIG_SCHEMA, () =>
    buildValidator(configSchema, { buildPattern: buildSafePattern }),
  );
  // The profile has checked that there is a list of them.
  for (const [index, example] of (configSchema['examples'] as readonly unknown[]).entries()) {
    const [problem] = validate(structuredClone(example));
    if (!problem) continue;
    const pointer = `/examples/${index}${problem.pointer}`;
    throw new PackageError('SCHEMA_INVALID', `${CONFIG_SCHEMA} ${pointer}: ${problem.message}`);
  }
  return configSchema;
}

function textOf(files: ReadonlyMap<string, Buffer>, name: string): string {
  return attempt('CONTENT_INVALID', name, () =>
    new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(files.get(name)),
  );
}

function attempt<Value>(code: PackageErrorCode, name: string, run: () => Value): Value {
  try {
    return run();
  } catch (cause) {
    throw new PackageError(code, `${name}: ${reasonOf(cause)}`, { cause });
  }
}
