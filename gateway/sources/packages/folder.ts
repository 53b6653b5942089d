// The packages of a node on disk: bytes by digest, the envelope of each, root and index, and the highest versions seen.
// Must not believe what it reads: whoever loads a package verifies it, every time.
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Envelope } from '../../package/dsse.ts';
import { replaceFile } from '../durable-file.ts';

/** Is a package as it lies there. */
export interface StoredPackage {
  /** Undefined = not here; `problem` may say why. */
  readonly bytes: Buffer | undefined;
  readonly envelope: Envelope | undefined;
  readonly problem: string | undefined;
}

/** Is root and index as the control plane had them. */
export interface TrustFile {
  readonly root: Envelope;
  readonly index: Envelope;
}

/** Says what was seen under which root keys; a lower version is refused from then on. */
export interface SeenVersions {
  /** Ids of the pinned root keys: other keys are another history. */
  readonly rootKeys: readonly string[];
  readonly root: number;
  readonly index: number;
}

/** Keeps packages. */
export interface PackageFolder {
  readPackage(sha256: string): Promise<StoredPackage>;
  /** Says whether the bytes are there, whole. */
  hasPackage(sha256: string): Promise<boolean>;
  writePackage(sha256: string, bytes: Uint8Array, envelope: Envelope | undefined): Promise<void>;
  /** Writes down why the bytes are not here. */
  writeProblem(sha256: string, problem: string): Promise<void>;
  readTrust(): Promise<TrustFile | undefined>;
  writeTrust(trust: TrustFile): Promise<void>;
  readSeen(): Promise<SeenVersions | undefined>;
  writeSeen(seen: SeenVersions): Promise<void>;
  /** Removes every package but these. */
  prune(kept: ReadonlySet<string>): Promise<void>;
}

const PRIVATE_FOLDER = 0o700;
const PACKAGE_FILE = /^([0-9a-f]{64})\.(tgz|json)$/;

interface Companion {
  readonly envelope?: Envelope;
  readonly problem?: string;
}

/** Opens the folder; it is made when something is written. */
export function openPackageFolder(path: string): PackageFolder {
  const write = async (name: string, content: string | Uint8Array): Promise<void> => {
    await mkdir(path, { recursive: true, mode: PRIVATE_FOLDER });
    await replaceFile(join(path, name), content);
  };
  const writeJson = (name: string, value: unknown): Promise<void> => write(name, `${JSON.stringify(value)}\n`);
  const read = async (name: string): Promise<Buffer | undefined> => {
    try {
      return await readFile(join(path, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  };
  const readJson = async <Value>(name: string): Promise<Value | undefined> => {
    const text = await read(name);
    return text === undefined ? undefined : (JSON.parse(text.toString('utf8')) as Value);
  };

  return {
    async readPackage(sha256) {
      const [bytes, companion] = await Promise.all([read(`${sha256}.tgz`), readJson<Companion>(`${sha256}.json`)]);
      return { bytes, envelope: companion?.envelope, problem: companion?.problem };
    },
    async hasPackage(sha256) {
      const [bytes, companion] = await Promise.all([read(`${sha256}.tgz`), read(`${sha256}.json`)]);
      return companion !== undefined && bytes !== undefined && digestOf(bytes) === sha256;
    },
    async writePackage(sha256, bytes, envelope) {
      // The bytes last: where they are, all is.
      await writeJson(`${sha256}.json`, { ...(envelope === undefined ? {} : { envelope }) } satisfies Companion);
      await write(`${sha256}.tgz`, bytes);
    },
    writeProblem: (sha256, problem) => writeJson(`${sha256}.json`, { problem } satisfies Companion),
    readTrust: () => readJson('trust.json'),
    writeTrust: (trust) => writeJson('trust.json', trust),
    readSeen: () => readJson('seen.json'),
    writeSeen: (seen) => writeJson('seen.json', seen),
    async prune(kept) {
      for (const name of await readdir(path).catch(() => [])) {
        const sha256 = PACKAGE_FILE.exec(name)?.[1];
        if (sha256 !== undefined && !kept.has(sha256)) await rm(join(path, name), { force: true });
      }
    },
  };
}

/** Gives the digest of a package, hex. */
export function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
