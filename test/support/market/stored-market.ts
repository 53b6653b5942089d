// Puts a marketplace into a test database as the admin service would, and reads what nodes say of installs.
// Must not check anything: tests put in what an attacker would.
import pg from 'pg';
import type { Install } from '../../../gateway/core/model.ts';
import type { InstallReport } from '../../../gateway/core/setup/runs.ts';
import type { Envelope } from '../../../gateway/package/dsse.ts';
import type { KeyPair } from '../../../gateway/package/keys.ts';
import { openPackage, type PluginPackage } from '../../../gateway/package/package.ts';
import { type PluginIndex, signIndex } from '../../../gateway/package/trust.ts';
import { makeInstall } from '../entities.ts';
import { type Market, samplePackage, signPackage } from './packages.ts';

/** Is a package with its bytes and who signed it. */
export interface SignedPackage {
  readonly bytes: Buffer;
  readonly pkg: PluginPackage;
  readonly envelope: Envelope;
}

/** Makes a version of `acme/hello` that answers with `x-hello: VERSION`; signed by publisher and marketplace. */
export function makeVersion(
  market: Market,
  version: string,
  options: {
    readonly manifest?: Readonly<Record<string, unknown>>;
    readonly code?: string;
    readonly configSchema?: Readonly<Record<string, unknown>>;
    readonly files?: Readonly<Record<string, string | undefined>>;
    readonly keys?: readonly KeyPair[];
  } = {},
): SignedPackage {
  const code = `export const plugin = { onResponse({ response }) { response.headers.set('x-hello', '${version}'); } };\n`;
  const bytes = samplePackage({
    manifest: { version, failPolicy: 'closed', ...options.manifest },
    ...(options.configSchema && { configSchema: options.configSchema }),
    files: { 'index.js': options.code ?? code, ...options.files },
  });
  const pkg = openPackage(bytes);
  const keys = options.keys ?? [market.publisherKeys, market.indexKeys];
  return { bytes, pkg, envelope: signPackage(pkg, ...keys) };
}

/** Makes the install of a version with all that it asks for. */
export function installOf({ pkg }: SignedPackage, fields: Partial<Install> = {}): Install {
  const { name: plugin, version, permissions: granted } = pkg.manifest;
  const { manifest, configSchema, sha256 } = pkg;
  return makeInstall({ plugin, version, sha256, granted, manifest, configSchema, ...fields });
}

/** Runs one statement and gives its rows. */
export async function query<Row>(url: string, sql: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql, [...values])).rows;
  } finally {
    await client.end();
  }
}

/** Puts a package where nodes fetch it. `bytes` may be others than the digest says. */
export async function storePackage(url: string, { bytes, pkg, envelope }: SignedPackage): Promise<void> {
  const { name, version } = pkg.manifest;
  await query(
    url,
    "INSERT INTO publishers (namespace, title, level) VALUES ('acme', 'Acme', 2) ON CONFLICT DO NOTHING",
  );
  await query(
    url,
    `INSERT INTO marketplace_plugins (id, namespace, title, summary, categories, search_text)
     VALUES ($1, 'acme', $1, $1, '{}', '') ON CONFLICT DO NOTHING`,
    [name],
  );
  await query(url, 'INSERT INTO plugin_packages (sha256, bytes) VALUES ($1, $2) ON CONFLICT DO NOTHING', [
    pkg.sha256,
    bytes,
  ]);
  await query(
    url,
    `INSERT INTO marketplace_versions (plugin, version, sha256, manifest, config_schema, envelope, state, checks, published_by)
     VALUES ($1, $2, $3, $4, $5, $6, 'approved', '[]', 'test')`,
    [name, version, pkg.sha256, pkg.manifest, pkg.configSchema, envelope],
  );
}

/** Puts root and index where nodes look for them; `version` is the number that the row says. */
export async function storeIndex(
  url: string,
  market: Market,
  index: PluginIndex,
  options: { readonly version?: number; readonly key?: KeyPair } = {},
): Promise<void> {
  const { version = index.version, key = market.indexKeys } = options;
  await query(url, 'INSERT INTO marketplace_root (version, envelope) VALUES ($1, $2) ON CONFLICT DO NOTHING', [
    market.root.version,
    market.rootEnvelope,
  ]);
  await query(url, 'INSERT INTO marketplace_index (version, envelope) VALUES ($1, $2)', [
    version,
    signIndex(index, key.privateKey),
  ]);
}

/** Waits until the only node says something of an install that fits, and gives it. */
export async function waitForInstall(url: string, fits: (report: InstallReport) => boolean): Promise<InstallReport> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    let onNotice: () => void = () => undefined;
    client.on('notification', () => onNotice());
    await client.query('LISTEN sallyport_nodes');
    for (;;) {
      const noticed = new Promise<void>((resolve) => {
        onNotice = resolve;
      });
      const { rows } = await client.query<{ plugins: readonly InstallReport[] }>('SELECT plugins FROM nodes');
      const found = rows[0]?.plugins.find(fits);
      if (found) return found;
      await noticed;
    }
  } finally {
    await client.end();
  }
}
