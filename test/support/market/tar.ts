// Tar and gzip as an attacker writes them, with a lie in whatever field he likes.
// Must not share code with gateway/package, or it could not disagree with it.
import { crc32, deflateRawSync } from 'node:zlib';

const BLOCK = 512;

/** Is an entry; what is not given is as an honest writer has it. */
export interface TarEntry {
  readonly name: string | Buffer;
  readonly content?: string | Buffer;
  readonly type?: string;
  readonly mode?: string;
  readonly uid?: string;
  readonly size?: string | Buffer;
  readonly mtime?: string;
  readonly checksum?: string;
  readonly link?: string;
  readonly magic?: string;
  readonly owner?: string;
  readonly prefix?: string;
  /** Fills the rest of the last block. */
  readonly padding?: number;
}

/** Writes one entry: header, content, padding. */
export function tarEntry(entry: TarEntry): Buffer {
  const content = Buffer.from(entry.content ?? '');
  const header = Buffer.alloc(BLOCK);
  const put = (value: string | Buffer, at: number): void => {
    Buffer.from(value as string, 'latin1').copy(header, at);
  };
  put(entry.name, 0);
  put(entry.mode ?? '0000644\0', 100);
  put(entry.uid ?? '0000000\0', 108);
  put('0000000\0', 116);
  put(entry.size ?? `${content.length.toString(8).padStart(11, '0')}\0`, 124);
  put(entry.mtime ?? '00000000000\0', 136);
  put(entry.type ?? '0', 156);
  put(entry.link ?? '', 157);
  put(entry.magic ?? 'ustar\x0000', 257);
  put(entry.owner ?? '', 265);
  put('0000000\0', 329);
  put('0000000\0', 337);
  put(entry.prefix ?? '', 345);
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(entry.checksum ?? `${sum.toString(8).padStart(6, '0')}\0 `, 148);
  const padding = Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK, entry.padding ?? 0);
  return Buffer.concat([header, content, padding]);
}

/** Writes a whole tar, with the two empty blocks at its end. */
export function tarOf(...entries: readonly TarEntry[]): Buffer {
  return Buffer.concat([...entries.map(tarEntry), Buffer.alloc(2 * BLOCK)]);
}

/** Is what is put around a tar. */
export interface GzipParts {
  readonly header?: Buffer;
  readonly crc?: number;
  readonly size?: number;
  /** Follows the compressed data, before the trailer. */
  readonly junk?: Buffer;
}

/** Puts gzip around bytes, as packages have it or with a lie. */
export function gzipOf(tar: Buffer, parts: GzipParts = {}): Buffer {
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(parts.crc ?? crc32(tar), 0);
  trailer.writeUInt32LE(parts.size ?? tar.length, 4);
  const header = parts.header ?? Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255]);
  return Buffer.concat([header, deflateRawSync(tar, { level: 9 }), parts.junk ?? Buffer.alloc(0), trailer]);
}
