// The checks of a package that need nothing but the package: what it holds and what its code reaches for.
// Must not run the code.

import { fitsEngine } from '../../../gateway/core/manifest.ts';
import { CONTRACT_VERSION } from '../../../gateway/core/plugin.ts';
import { MAX_PACKED_BYTES } from '../../../gateway/package/archive.ts';
import type { Submission } from '../submission.ts';
import { type Check, failed, passed, warned } from './check.ts';
import { checkImports } from './imports.ts';
import { checkSecrets } from './secrets.ts';

/** A package above is unusual: most of a plugin is its own code. */
const LARGE_BYTES = 512 * 1024;

/** Runs the checks. */
export async function checkPackage(
  submission: Pick<Submission, 'bytes' | 'files' | 'package'>,
): Promise<readonly Check[]> {
  const { files, package: opened, bytes } = submission;
  return [
    passed('package', `Opens; ${files.size} files, sha256 ${opened.sha256}.`),
    passed('configSchema', 'Within the profile, and its examples validate.'),
    checkSize(bytes.length, files),
    await checkImports(opened.code),
    checkSecrets(files),
    checkEngine(opened.manifest.engines.gateway),
  ];
}

function checkSize(packedBytes: number, files: ReadonlyMap<string, Uint8Array>): Check {
  const unpackedBytes = [...files.values()].reduce((sum, bytes) => sum + bytes.length, 0);
  const detail = `${packedBytes} bytes packed of at most ${MAX_PACKED_BYTES}, ${unpackedBytes} unpacked.`;
  return packedBytes > LARGE_BYTES ? warned('size', `${detail} That is much for a plugin.`) : passed('size', detail);
}

function checkEngine(range: string): Check {
  const detail = `Needs the plugin contract ${range}; this service knows ${CONTRACT_VERSION}.`;
  return fitsEngine(range, CONTRACT_VERSION) ? passed('engine', detail) : failed('engine', detail);
}
