// A marketplace with two versions, and a mirror that knows its root; what tests of bundles ask of both.
// Must not judge an answer.
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Bundle } from '../../../../admin/marketplace/mirror/bundle.ts';
import { CONTRACT_VERSION } from '../../../../gateway/core/plugin.ts';
import type { Envelope } from '../../../../gateway/package/dsse.ts';
import { type TrustedIndex, verifyPackage } from '../../../../gateway/package/trust.ts';
import { samplePackage } from '../../../support/market/packages.ts';
import { type Reply, startTestAdmin, type TestAdmin } from '../../support.ts';
import { ofVersion, startTestMarket, type TestMarket, versionPath } from '../support.ts';

/** Where bundles come from and go. */
export const BUNDLE = '/v1/marketplace/bundle';

/** Is a marketplace, and another admin service that pins its root. */
export interface MirrorStage {
  readonly market: TestMarket;
  readonly mirror: TestAdmin;
  /** Folder of the root's key at the mirror. */
  readonly mirrorFolder: string;
  exportBundle(query?: string): Promise<Bundle>;
  close(): Promise<void>;
}

/** Starts both; the marketplace has approved 1.0.0 and 1.1.0. */
export async function openMirrorStage(): Promise<MirrorStage> {
  const market = await startTestMarket();
  await market.approve('1.0.0');
  await market.approve('1.1.0');
  const mirrorFolder = await mkdtemp(join(tmpdir(), 'sallyport-mirror-'));
  await copyFile(join(market.folder, 'root.pub'), join(mirrorFolder, 'root.pub'));
  const mirror = await startTestAdmin({ marketplaceDir: mirrorFolder });
  return {
    market,
    mirror,
    mirrorFolder,
    exportBundle: async (query = '') =>
      (await market.admin.expect(200, 'GET', `${BUNDLE}${query}`)).body as unknown as Bundle,
    async close() {
      await market.close();
      await mirror.close();
      await rm(mirrorFolder, { recursive: true, force: true });
    },
  };
}

/** Sends a bundle; fails unless it is answered with `status`. */
export function take(admin: TestAdmin, status: number, bundle: unknown, more: object = {}): Promise<Reply> {
  return admin.expect(status, 'POST', BUNDLE, { body: { bundle, ...more } });
}

/** Says whether a gateway with that index would load a version. */
export async function judge(admin: TestAdmin, index: TrustedIndex, version: string): Promise<boolean> {
  const { body } = await admin.expect(200, 'GET', versionPath(version));
  const granted = (body['manifest'] as { permissions: object }).permissions;
  const verdict = verifyPackage({
    bytes: samplePackage(ofVersion(version)),
    envelope: body['envelope'] as Envelope,
    index,
    policy: { require: ['publisher', 'marketplace'] },
    pinned: { id: 'acme/hello', version, sha256: String(body['sha256']), granted },
    contractVersion: CONTRACT_VERSION,
  });
  return verdict.ok;
}
