// The statement: what a publisher and the marketplace sign about one version of a plugin.
// Must not verify signatures: `verifyPackage` does, before it believes a statement.
import type { KeyObject } from 'node:crypto';
import type { Envelope } from './dsse.ts';
import { PLUGIN_ID, type PluginPackage } from './package.ts';
import { digest, readSigned, readTime, type SignedKind, time, VERSION_PATTERN, writeSigned } from './signed-data.ts';

/** Is the payload type of statements. */
export const STATEMENT_TYPE = 'application/vnd.sallyport.plugin.v1+json';

/** Says what a package is: its digests, and the name under which they may be installed. */
export interface Statement {
  readonly type: 'sallyport-plugin/v1';
  readonly id: string;
  readonly version: string;
  /** Of the whole package. */
  readonly sha256: string;
  readonly manifestSha256: string;
  readonly permissionsSha256: string;
  readonly configSchemaSha256: string;
  readonly files: Readonly<Record<string, string>>;
  /** RFC 3339, UTC. */
  readonly createdAt: string;
  readonly source?: { readonly repository: string; readonly commit: string };
}

const KIND: SignedKind = {
  payloadType: STATEMENT_TYPE,
  code: 'STATEMENT_INVALID',
  schema: {
    title: 'Statement',
    type: 'object',
    additionalProperties: false,
    required: [
      'type',
      'id',
      'version',
      'sha256',
      'manifestSha256',
      'permissionsSha256',
      'configSchemaSha256',
      'files',
      'createdAt',
    ],
    properties: {
      type: { const: 'sallyport-plugin/v1' },
      id: { type: 'string', pattern: PLUGIN_ID.source },
      version: { type: 'string', pattern: VERSION_PATTERN },
      sha256: digest,
      manifestSha256: digest,
      permissionsSha256: digest,
      configSchemaSha256: digest,
      files: { type: 'object', maxProperties: 200, additionalProperties: digest },
      createdAt: time,
      source: {
        type: 'object',
        additionalProperties: false,
        required: ['repository', 'commit'],
        properties: {
          repository: { type: 'string', pattern: '^https://[^\\s"\'<>`\\\\]{1,500}$' },
          commit: { type: 'string', pattern: '^[0-9a-f]{40}([0-9a-f]{24})?$' },
        },
      },
    },
  },
};

/** Builds the statement of a package. `createdAt` is RFC 3339 in UTC. */
export function buildStatement(
  pkg: PluginPackage,
  options: { readonly createdAt: string; readonly source?: NonNullable<Statement['source']> },
): Statement {
  return {
    type: 'sallyport-plugin/v1',
    id: pkg.manifest.name,
    version: pkg.manifest.version,
    sha256: pkg.sha256,
    manifestSha256: pkg.manifestSha256,
    permissionsSha256: pkg.permissionsSha256,
    configSchemaSha256: pkg.configSchemaSha256,
    files: pkg.files,
    createdAt: options.createdAt,
    ...(options.source && { source: options.source }),
  };
}

/** Signs a statement; `addSignature` adds those of others. @throws PackageError STATEMENT_INVALID */
export function signStatement(statement: Statement, key: KeyObject): Envelope {
  return writeSigned(KIND, statement, key);
}

/** Reads the statement in an envelope, whoever signed it. @throws PackageError ENVELOPE_INVALID, STATEMENT_INVALID */
export function readStatement(envelope: Envelope): Statement {
  const statement = readSigned(KIND, envelope) as Statement;
  readTime(statement.createdAt, 'STATEMENT_INVALID');
  return statement;
}

/** Lists the fields in which a statement differs from a package; empty = it is about this one. */
export function compareStatement(statement: Statement, pkg: PluginPackage): readonly string[] {
  const { files: _files, createdAt, ...expected } = buildStatement(pkg, { createdAt: statement.createdAt });
  const differing = Object.entries(expected).filter(([key, value]) => statement[key as keyof Statement] !== value);
  const names = new Set([...Object.keys(statement.files), ...Object.keys(pkg.files)]);
  const files = [...names].filter((name) => !isSame(statement.files, pkg.files, name));
  return [...differing.map(([key]) => key), ...files.map((name) => `files/${name}`)];
}

function isSame(one: Statement['files'], other: Statement['files'], name: string): boolean {
  return Object.hasOwn(one, name) && Object.hasOwn(other, name) && one[name] === other[name];
}
