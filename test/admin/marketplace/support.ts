// A marketplace with a publisher, a reviewer and a reader, over a real admin service.
// Must not be imported outside tests of the marketplace.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Logger } from '../../../gateway/core/plugin.ts';
import type { Envelope } from '../../../gateway/package/dsse.ts';
import { generateKeys, type KeyPair, readPublicKeys, toKeyEntry } from '../../../gateway/package/keys.ts';
import { openPackage } from '../../../gateway/package/package.ts';
import { openIndex, openRoot, type TrustedIndex } from '../../../gateway/package/trust.ts';
import { type PackageParts, samplePackage, signPackage } from '../../support/market/packages.ts';
import { type Reply, startTestAdmin, type TestAdmin } from '../support.ts';

/** Where plugins are published. */
export const PLUGINS = '/v1/marketplace/plugins';

/** Where publishers are registered. */
export const PUBLISHERS = '/v1/marketplace/publishers';

/** Where a version of the sample plugin is. */
export const versionPath = (version: string): string => `${PLUGINS}/acme/hello/versions/${version}`;

/** Gives a public key as the admin service takes it. */
export const publicKeyOf = (keys: KeyPair): string => toKeyEntry(keys.publicKey).publicKey;

/** Is a check as the admin service shows it. */
export interface ShownCheck {
  readonly name: string;
  readonly result: string;
  readonly detail: string;
}

/** Is a marketplace to test with; the namespace `acme` belongs to the token `acme-ci`. */
export interface TestMarket {
  readonly admin: TestAdmin;
  /** Folder of its keys. */
  readonly folder: string;
  readonly keys: KeyPair;
  /** Tokens by role. */
  readonly tokens: Readonly<Record<'publisher' | 'reviewer' | 'viewer' | 'editor', string>>;
  /** Publishes as the publisher; by `status` 201 unless said otherwise. */
  publish(parts?: PackageParts, status?: number): Promise<Reply>;
  /** Publishes and approves. */
  approve(version: string, parts?: PackageParts): Promise<Reply>;
  /** Asks to publish as the publisher, or with another token; fails unless it is answered with `status`. */
  send(status: number, body: unknown, token?: string): Promise<Reply>;
  /** Decides upon a version as the reviewer. */
  review(version: string, decision: 'approve' | 'reject'): Promise<Reply>;
  /** Asks for another state as the reviewer, or with another token; fails unless it is answered with `status`. */
  changeState(status: number, version: string, body: object, token?: string): Promise<Reply>;
  /** Opens the newest index as a gateway does that pins this marketplace's root. */
  openIndex(): Promise<TrustedIndex>;
  close(): Promise<void>;
}

/** Is the body of a publication. */
export function publication(bytes: Buffer, ...keys: readonly KeyPair[]): { package: string; envelope: Envelope } {
  return { package: bytes.toString('base64'), envelope: signPackage(openPackage(bytes), ...keys) };
}

/** Gives the sample another version, and takes its fixtures away unless there are others: they take processes to run. */
export function ofVersion(version: string, parts: PackageParts = {}): PackageParts {
  const files = { 'fixtures/greets.json': undefined, ...parts.files };
  return { ...parts, manifest: { ...parts.manifest, version }, files };
}

/** Starts a marketplace. */
export async function startTestMarket(options: { readonly log?: Logger } = {}): Promise<TestMarket> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-market-'));
  const admin = await startTestAdmin({ ...options, marketplaceDir: folder });
  const makeToken = async (name: string, role: string): Promise<string> => {
    const made = await admin.expect(201, 'POST', '/v1/tokens', { body: { name, role } });
    return String(made.body['token']);
  };
  const tokens = {
    publisher: await makeToken('acme-ci', 'publisher'),
    reviewer: await makeToken('reviewer', 'reviewer'),
    viewer: await makeToken('viewer', 'viewer'),
    editor: await makeToken('editor', 'editor'),
  };
  const keys = generateKeys();
  const body = { namespace: 'acme', title: 'Acme', keys: [publicKeyOf(keys)] };
  await admin.expect(201, 'POST', PUBLISHERS, { body, token: tokens.publisher });
  const send: TestMarket['send'] = (status, sent, token = tokens.publisher) =>
    admin.expect(status, 'POST', PLUGINS, { body: sent, token });
  const publish: TestMarket['publish'] = (parts, status = 201) => send(status, publication(samplePackage(parts), keys));
  const review: TestMarket['review'] = (version, decision) =>
    admin.expect(200, 'POST', `${versionPath(version)}/review`, { body: { decision }, token: tokens.reviewer });
  return {
    admin,
    folder,
    keys,
    tokens,
    publish,
    send,
    review,
    changeState: (status, version, sent, token = tokens.reviewer) =>
      admin.expect(status, 'POST', `${versionPath(version)}/state`, { body: sent, token }),
    async approve(version, parts) {
      await publish(ofVersion(version, parts));
      return await review(version, 'approve');
    },
    openIndex: () => readIndex(admin, folder),
    async close() {
      await admin.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Opens the newest index of an admin service whose folder this is, as a gateway does. */
export async function readIndex(admin: TestAdmin, folder: string): Promise<TrustedIndex> {
  const { body } = await admin.expect(200, 'GET', '/v1/marketplace/index');
  const pinned = readPublicKeys(await readFile(join(folder, 'root.pub'), 'utf8'));
  const root = openRoot(body['root'] as Envelope, pinned);
  return openIndex(body['index'] as Envelope, root, { minVersion: 1, nowMs: Date.now() }).index;
}
