// Packages, keys and a small marketplace to test with: everything signed, nothing on disk.
// Must not reach into gateway/package for anything but its exports.
import { packArchive } from '../../../gateway/package/archive.ts';
import { addSignature, type Envelope } from '../../../gateway/package/dsse.ts';
import { generateKeys, type KeyPair, toKeyEntry } from '../../../gateway/package/keys.ts';
import { openPackage, type PluginPackage } from '../../../gateway/package/package.ts';
import { buildStatement, signStatement } from '../../../gateway/package/statement.ts';
import {
  openIndex,
  openRoot,
  type PackageCheck,
  type PluginIndex,
  type Root,
  signIndex,
  signRoot,
  type TrustedIndex,
} from '../../../gateway/package/trust.ts';

/** Is when the tests take place. */
export const NOW: string = '2026-11-23T12:00:00Z';
const LATER = '2026-12-23T12:00:00Z';

/** Is what the tests change about a package. */
export interface PackageParts {
  readonly manifest?: Readonly<Record<string, unknown>>;
  readonly configSchema?: Readonly<Record<string, unknown>>;
  /** More files, or others in the place of those that are there; undefined takes one away. */
  readonly files?: Readonly<Record<string, string | Uint8Array | undefined>>;
}

/** Gives a manifest that is good. */
export function sampleManifest(): Record<string, unknown> {
  return {
    name: 'acme/hello',
    version: '1.2.0',
    title: 'Hello',
    summary: 'Greets.',
    stage: 'transform',
    hooks: ['onResponse'],
    scopes: ['global', 'api'],
    failPolicy: 'open',
    permissions: { response: { headers: { write: ['x-hello'] } } },
    engines: { gateway: '^1.0.0' },
  };
}

/** Gives a config schema that is good. */
export function sampleSchema(): Record<string, unknown> {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    additionalProperties: false,
    properties: {
      greeting: {
        title: 'Greeting',
        description: 'Word.',
        type: 'string',
        pattern: '^[A-Za-z ]{1,40}$',
        default: 'Hello',
      },
    },
    examples: [{ greeting: 'Good morning' }],
  };
}

/** Gives the files of a package. */
export function sampleFiles(parts: PackageParts = {}): Map<string, Buffer> {
  const files: Record<string, string | Uint8Array | undefined> = {
    'manifest.json': JSON.stringify({ ...sampleManifest(), ...parts.manifest }),
    'config.schema.json': JSON.stringify({ ...sampleSchema(), ...parts.configSchema }),
    'index.js':
      "export const plugin = { onResponse({ response }, config) { response.headers.set('x-hello', config.greeting); } };\n",
    'README.md': '# Hello\n',
    'fixtures/greets.json': '{"config":{},"request":{"method":"GET","path":"/"},"expect":{"status":200}}',
    ...parts.files,
  };
  const present = Object.entries(files).filter(([, content]) => content !== undefined);
  return new Map(present.map(([name, content]) => [name, Buffer.from(content ?? '')]));
}

/** Packs a package. */
export function samplePackage(parts: PackageParts = {}): Buffer {
  return packArchive(sampleFiles(parts));
}

/** Is a marketplace with one publisher, `acme`, and the namespace `sallyport` for the platform. */
export interface Market {
  readonly rootKeys: KeyPair;
  readonly indexKeys: KeyPair;
  readonly publisherKeys: KeyPair;
  readonly platformKeys: KeyPair;
  /** The root's key as a gateway pins it. */
  readonly pinnedKeys: ReadonlyMap<string, KeyPair['publicKey']>;
  readonly root: Root;
  readonly rootEnvelope: Envelope;
}

/** Makes a marketplace. */
export function makeMarket(): Market {
  const [rootKeys, indexKeys, publisherKeys, platformKeys] = [
    generateKeys(),
    generateKeys(),
    generateKeys(),
    generateKeys(),
  ];
  const root: Root = {
    version: 3,
    expires: LATER,
    indexKeys: [toKeyEntry(indexKeys.publicKey)],
    platformNamespaces: ['sallyport'],
    platformKeys: [toKeyEntry(platformKeys.publicKey)],
  };
  const rootEnvelope = signRoot(root, rootKeys.privateKey);
  const pinnedKeys = new Map([[rootKeys.keyid, rootKeys.publicKey]]);
  return { rootKeys, indexKeys, publisherKeys, platformKeys, pinnedKeys, root, rootEnvelope };
}

/** Gives an index that lists these packages as approved. */
export function sampleIndex(market: Market, packages: readonly PluginPackage[]): PluginIndex {
  const publisher = { keys: [toKeyEntry(market.publisherKeys.publicKey)], level: 2 as const };
  const plugins: Record<string, Record<string, { sha256: string; state: 'approved' }>> = {};
  for (const { manifest, sha256 } of packages) {
    plugins[manifest.name] = { ...plugins[manifest.name], [manifest.version]: { sha256, state: 'approved' } };
  }
  return { version: 7, issuedAt: NOW, expires: LATER, publishers: { acme: publisher, sallyport: publisher }, plugins };
}

/** Signs an index and opens it, as a gateway does. */
export function openSampleIndex(market: Market, index: PluginIndex): TrustedIndex {
  const root = openRoot(market.rootEnvelope, market.pinnedKeys);
  const envelope = signIndex(index, market.indexKeys.privateKey);
  return openIndex(envelope, root, { minVersion: 1, nowMs: Date.parse(NOW) }).index;
}

/** Signs the statement of a package by these keys. */
export function signPackage(pkg: PluginPackage, ...keys: readonly KeyPair[]): Envelope {
  const [first, ...others] = keys;
  if (!first) throw new Error('expected a key');
  const envelope = signStatement(buildStatement(pkg, { createdAt: NOW }), first.privateKey);
  return others.reduce((signed, key) => addSignature(signed, key.privateKey), envelope);
}

/** Gives a check that passes: published, approved, signed by publisher and marketplace, and granted all it wants. */
export function sampleCheck(
  market: Market,
  bytes: Buffer = samplePackage(),
): PackageCheck & { readonly index: TrustedIndex; readonly envelope: Envelope } {
  const pkg = openPackage(bytes);
  const { name: id, version, permissions: granted } = pkg.manifest;
  return {
    bytes,
    envelope: signPackage(pkg, market.publisherKeys, market.indexKeys),
    index: openSampleIndex(market, sampleIndex(market, [pkg])),
    policy: { require: ['publisher', 'marketplace'] },
    pinned: { id, version, sha256: pkg.sha256, granted },
    contractVersion: '1.2.0',
  };
}
