// Writes and reads tar, the one dialect that packages use: plain files in ustar headers, nothing else.
// Must not write to disk: an entry's name is a key of a map, never a path that is opened.
import { PackageError } from './errors.ts';

const BLOCK_BYTES = 512;
/** Two empty blocks end an archive. @see POSIX.1-2017, pax, "ustar Interchange Format" */
const END_BYTES = 2 * BLOCK_BYTES;
/** What one name field holds; the prefix field, by which names get longer, stays empty. */
const MAX_NAME_BYTES = 100;
const CHECKSUM_AT = 148;
const CHECKSUM_BYTES = 8;

/** Names the kinds of entries that are refused, so that the refusal can say what it met. */
const KINDS: Readonly<Record<string, string>> = {
  '1': 'a hard link',
  '2': 'a symbolic link',
  '3': 'a character device',
  '4': 'a block device',
  '5': 'a directory',
  '6': 'a FIFO',
  '7': 'a contiguous file',
  g: 'a pax header for all files',
  x: 'a pax header',
  K: 'a GNU long link name',
  L: 'a GNU long name',
  S: 'a sparse file',
  V: 'a volume label',
  '\0': 'a file of the old format',
};

/** Bounds what is read. */
export interface TarBounds {
  readonly maxFiles: number;
  /** Refuses names; throws why. */
  checkName(name: string): void;
}

/** Writes files as tar, sorted by name. The same files give the same bytes, whatever their order. */
export function writeTar(files: ReadonlyMap<string, Uint8Array>): Buffer {
  const parts: Uint8Array[] = [];
  // By code unit: a locale would sort otherwise on another machine.
  for (const name of [...files.keys()].sort()) {
    const content = files.get(name) ?? new Uint8Array();
    parts.push(writeHeader(name, content.length), content, Buffer.alloc(paddingOf(content.length)));
  }
  return Buffer.concat([...parts, Buffer.alloc(END_BYTES)]);
}

function writeHeader(name: string, size: number): Buffer {
  const header = Buffer.alloc(BLOCK_BYTES);
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) {
    throw new PackageError('ARCHIVE_INVALID', `${name}: a name has at most ${MAX_NAME_BYTES} bytes`);
  }
  header.write(name, 0);
  header.write('0000644\0', 100); // mode
  header.write('0000000\0', 108); // user
  header.write('0000000\0', 116); // group
  header.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  header.write('00000000000\0', 136); // modification time
  header.write('0', 156); // a plain file
  header.write('ustar\x0000', 257);
  header.write('0000000\0', 329); // major and minor number of a device
  header.write('0000000\0', 337);
  header.write(writeChecksum(header), CHECKSUM_AT);
  return header;
}

/** Sums the bytes of a header as if its checksum field held spaces. */
function writeChecksum(header: Uint8Array): string {
  let sum = 0;
  for (let at = 0; at < BLOCK_BYTES; at += 1) {
    const isChecksum = at >= CHECKSUM_AT && at < CHECKSUM_AT + CHECKSUM_BYTES;
    sum += isChecksum ? 0x20 : (header[at] ?? 0);
  }
  return `${sum.toString(8).padStart(6, '0')}\0 `;
}

/**
 * Reads what `writeTar` wrote, and nothing else: whatever two readers of tar could read differently is refused.
 * @throws PackageError ARCHIVE_INVALID
 */
export function readTar(tar: Buffer, bounds: TarBounds): ReadonlyMap<string, Buffer> {
  const files = new Map<string, Buffer>();
  let at = 0;
  while (at + BLOCK_BYTES <= tar.length && !isEmpty(tar.subarray(at, at + BLOCK_BYTES))) {
    const { name, size } = readHeader(tar.subarray(at, at + BLOCK_BYTES));
    bounds.checkName(name);
    if (files.has(name)) throw refusal(`${name} is there twice`);
    if (files.size >= bounds.maxFiles) throw refusal(`there are more than ${bounds.maxFiles} files`);
    const start = at + BLOCK_BYTES;
    if (start + size > tar.length) throw refusal(`${name} is cut off`);
    files.set(name, tar.subarray(start, start + size));
    at = start + size + paddingOf(size);
  }
  // Writing again and comparing leaves no room for anything: padding, order, owners, what comes after the end.
  if (!writeTar(files).equals(tar)) {
    throw refusal('the tar is not in the one form that packages have; `sallyport plugin pack` writes it');
  }
  return files;
}

function readHeader(header: Buffer): { readonly name: string; readonly size: number } {
  const checksum = header.toString('latin1', CHECKSUM_AT, CHECKSUM_AT + CHECKSUM_BYTES);
  if (checksum !== writeChecksum(header)) throw refusal('the checksum of a header does not match');
  const name = readText(header.subarray(0, MAX_NAME_BYTES));
  if (header.toString('latin1', 257, 265) !== 'ustar\x0000') throw refusal(`${name}: the header is not ustar`);
  const type = header.toString('latin1', 156, 157);
  if (type !== '0')
    throw refusal(`${name} is ${KINDS[type] ?? 'of an unknown kind'}; a package holds plain files only`);
  if (header[157] !== 0) throw refusal(`${name} links to another file`);
  if (header[345] !== 0) throw refusal(`${name} has a prefix to its name`);
  const size = header.toString('latin1', 124, 136);
  // Octal only: a size in base 256 is an extension, and other readers may take it for another number.
  if (!/^[0-7]{11}\0$/.test(size)) throw refusal(`${name}: the size is not eleven octal digits`);
  return { name, size: Number.parseInt(size, 8) };
}

/** Reads a field up to its first NUL; what is hidden after it fails the comparison with the tar written again. */
function readText(field: Buffer): string {
  const end = field.indexOf(0);
  return field.toString('latin1', 0, end < 0 ? field.length : end);
}

function paddingOf(size: number): number {
  return (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES;
}

function isEmpty(block: Uint8Array): boolean {
  return block.every((byte) => byte === 0);
}

function refusal(message: string): PackageError {
  return new PackageError('ARCHIVE_INVALID', message);
}
