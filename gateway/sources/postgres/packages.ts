// Reads what the marketplace holds for nodes: the bytes of packages, their envelopes, root and index.
// Must not judge any of it: the database is not trusted.
import type { Envelope } from '../../package/dsse.ts';
import type { RunSql } from './document.ts';

/** Names a version by its digest. */
export interface PackageName {
  readonly plugin: string;
  readonly version: string;
  readonly sha256: string;
}

/** Is a package as the control plane has it. */
export interface FetchedPackage {
  readonly bytes: Buffer;
  readonly envelope: Envelope | undefined;
}

const SELECT_PACKAGE = `
  SELECT p.bytes, v.envelope FROM plugin_packages p
  LEFT JOIN marketplace_versions v ON v.plugin = $1 AND v.version = $2
  WHERE p.sha256 = $3`;

const SELECT_TRUST = `
  SELECT (SELECT envelope FROM marketplace_root ORDER BY version DESC LIMIT 1) AS root,
    (SELECT envelope FROM marketplace_index ORDER BY version DESC LIMIT 1) AS index`;

/** Reads a package; undefined when there is none with this digest. */
export async function readPackage(run: RunSql, name: PackageName): Promise<FetchedPackage | undefined> {
  const values = [name.plugin, name.version, name.sha256];
  const [row] = await run<{ bytes: Buffer; envelope: Envelope | null }>(SELECT_PACKAGE, values);
  return row && { bytes: row.bytes, envelope: row.envelope ?? undefined };
}

/** Reads the newest root and index; undefined while the marketplace has none. */
export async function readTrust(
  run: RunSql,
): Promise<{ readonly root: Envelope; readonly index: Envelope } | undefined> {
  const [row] = await run<{ root: Envelope | null; index: Envelope | null }>(SELECT_TRUST);
  return row?.root && row.index ? { root: row.root, index: row.index } : undefined;
}
