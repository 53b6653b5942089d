// Packs files into the bytes of a package and reads them again, within bounds.
// Must not know what the files are for, and must not trust a size that the bytes themselves declare.
import { constants, crc32, deflateRawSync, inflateRawSync } from 'node:zlib';
import { PackageError, reasonOf } from './errors.ts';
import { readTar, writeTar } from './tar.ts';

/** Largest package: what a plugin of one bundled file comes to many times over, and still nothing to a database row. */
export const MAX_PACKED_BYTES = 2_097_152;
/** Largest tar inside: a bomb stops here, whatever it unpacks to. */
export const MAX_UNPACKED_BYTES = 8_388_608;
/** Most files in a package. */
export const MAX_FILES = 200;
/** Deepest folder; a package has one, `fixtures`. */
const MAX_DEPTH = 4;

/** Deflate, no flags, no time, "maximum compression", unknown system: what packing says on every machine. @see RFC 1952 section 2.3 */
const GZIP_HEADER: Buffer = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255]);
/** CRC-32 and length. */
const GZIP_TRAILER_BYTES = 8;

/**
 * Matches one part of a name. ASCII only, so that no two names look alike or become alike on some file system; no dot in
 * front, so neither `..` nor a file that is hidden, such as a `.env` packed by mistake.
 */
const SEGMENT = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;

/**
 * Packs files into a .tgz. The same files give the same bytes: sorted, without times, owners and systems.
 * @throws PackageError ARCHIVE_INVALID, ARCHIVE_TOO_LARGE when `readArchive` would refuse it.
 */
export function packArchive(files: ReadonlyMap<string, Uint8Array>): Buffer {
  for (const name of files.keys()) checkName(name);
  checkNames(files);
  if (files.size > MAX_FILES) throw new PackageError('ARCHIVE_INVALID', `there are more than ${MAX_FILES} files`);
  const tar = writeTar(files);
  if (tar.length > MAX_UNPACKED_BYTES) throw tooLarge(`unpacked, it is larger than ${MAX_UNPACKED_BYTES} bytes`);
  const trailer = Buffer.alloc(GZIP_TRAILER_BYTES);
  trailer.writeUInt32LE(crc32(tar), 0);
  trailer.writeUInt32LE(tar.length, 4);
  const bytes = Buffer.concat([GZIP_HEADER, deflateRawSync(tar, { level: constants.Z_BEST_COMPRESSION }), trailer]);
  if (bytes.length > MAX_PACKED_BYTES) throw tooLarge(`it is larger than ${MAX_PACKED_BYTES} bytes`);
  return bytes;
}

/**
 * Reads what `packArchive` wrote: name to content. Holds nothing on disk and runs nothing.
 * @throws PackageError ARCHIVE_INVALID, ARCHIVE_TOO_LARGE
 */
export function readArchive(bytes: Uint8Array): ReadonlyMap<string, Buffer> {
  if (bytes.length > MAX_PACKED_BYTES) throw tooLarge(`it is larger than ${MAX_PACKED_BYTES} bytes`);
  const files = readTar(gunzip(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)), {
    maxFiles: MAX_FILES,
    checkName,
  });
  checkNames(files);
  return files;
}

/** Unpacks one gzip member that fills the input; gunzip itself would join members and skip what follows them. */
function gunzip(bytes: Buffer): Buffer {
  const end = bytes.length - GZIP_TRAILER_BYTES;
  if (end < GZIP_HEADER.length || !bytes.subarray(0, GZIP_HEADER.length).equals(GZIP_HEADER)) {
    throw new PackageError('ARCHIVE_INVALID', 'it does not begin with the gzip header that packages have');
  }
  const deflated = bytes.subarray(GZIP_HEADER.length, end);
  const { tar, readBytes } = inflate(deflated);
  if (readBytes !== deflated.length) throw new PackageError('ARCHIVE_INVALID', 'bytes follow the end of the archive');
  if (bytes.readUInt32LE(end) !== crc32(tar) || bytes.readUInt32LE(end + 4) !== tar.length) {
    throw new PackageError('ARCHIVE_INVALID', 'the gzip checksum does not match');
  }
  return tar;
}

function inflate(deflated: Buffer): { readonly tar: Buffer; readonly readBytes: number } {
  try {
    // The types do not know `info`: with it the engine comes back too, and has counted what it read.
    const result: unknown = inflateRawSync(deflated, { maxOutputLength: MAX_UNPACKED_BYTES, info: true });
    const { buffer, engine } = result as {
      readonly buffer: Buffer;
      readonly engine: { readonly bytesWritten: number };
    };
    return { tar: buffer, readBytes: engine.bytesWritten };
  } catch (cause) {
    if (cause instanceof RangeError) throw tooLarge(`unpacked, it is larger than ${MAX_UNPACKED_BYTES} bytes`);
    throw new PackageError('ARCHIVE_INVALID', `it cannot be unpacked: ${reasonOf(cause)}`, { cause });
  }
}

function checkName(name: string): void {
  const segments = name.split('/');
  if (segments.length > MAX_DEPTH || !segments.every((one) => SEGMENT.test(one))) {
    throw new PackageError(
      'ARCHIVE_INVALID',
      `${JSON.stringify(name)} is no name for a file of a package: letters, digits, \`_\`, \`.\`, \`-\`, not beginning with a dot`,
    );
  }
}

/** Refuses names that some file systems hold for one, and files that would have to be folders too. */
function checkNames(files: ReadonlyMap<string, unknown>): void {
  const seen = new Set<string>();
  for (const name of files.keys()) {
    const folded = name.toLowerCase();
    if (seen.has(folded)) throw new PackageError('ARCHIVE_INVALID', `${name} is there twice, in other case`);
    seen.add(folded);
  }
  for (const name of seen) {
    for (let at = name.indexOf('/'); at >= 0; at = name.indexOf('/', at + 1)) {
      const folder = name.slice(0, at);
      if (seen.has(folder)) throw new PackageError('ARCHIVE_INVALID', `${folder} is a file and a folder`);
    }
  }
}

function tooLarge(message: string): PackageError {
  return new PackageError('ARCHIVE_TOO_LARGE', message);
}
