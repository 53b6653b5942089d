// Publishes versions of plugins in a running marketplace, as a publisher and a reviewer would.
// Must not install anything.
import { packArchive } from '../../../gateway/package/archive.ts';
import type { KeyPair } from '../../../gateway/package/keys.ts';
import { toKeyEntry } from '../../../gateway/package/keys.ts';
import { openPackage } from '../../../gateway/package/package.ts';
import { buildStatement, signStatement } from '../../../gateway/package/statement.ts';
import type { SallyportInstance } from '../../contenders/sallyport-instance.ts';

const MARKETPLACE = '/v1/marketplace';

/** Is what a package is made of, by the names of its files. */
export type PackageFiles = Readonly<Record<string, string>>;

/** Registers a namespace with its key. */
export async function registerPublisher(
  { ask }: SallyportInstance,
  namespace: string,
  { publicKey }: KeyPair,
): Promise<void> {
  const keys = [toKeyEntry(publicKey).publicKey];
  await ask('POST', `${MARKETPLACE}/publishers`, { namespace, title: namespace, keys });
}

/** Packs, signs, publishes and approves a version. @throws Error when the marketplace refuses it */
export async function publishVersion({ ask }: SallyportInstance, files: PackageFiles, keys: KeyPair): Promise<void> {
  const bytes = packArchive(new Map(Object.entries(files).map(([name, text]) => [name, Buffer.from(text)])));
  const opened = openPackage(bytes);
  const statement = buildStatement(opened, { createdAt: new Date().toISOString() });
  const envelope = signStatement(statement, keys.privateKey);
  await ask('POST', `${MARKETPLACE}/plugins`, { package: bytes.toString('base64'), envelope });
  const { name, version } = opened.manifest;
  const review = { decision: 'approve', sha256: opened.sha256 };
  await ask('POST', `${MARKETPLACE}/plugins/${name}/versions/${version}/review`, review);
}
