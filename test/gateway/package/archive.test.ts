// Packing and unpacking: one form, and no other is read.
import assert from 'node:assert/strict';
import { gunzipSync, gzipSync } from 'node:zlib';
import {
  MAX_FILES,
  MAX_PACKED_BYTES,
  MAX_UNPACKED_BYTES,
  packArchive,
  readArchive,
} from '../../../gateway/package/archive.ts';
import { createRandom } from '../../fuzz/random.ts';
import { gzipOf, type TarEntry, tarEntry, tarOf } from '../../support/market/tar.ts';

const FILES = new Map([
  ['b.txt', Buffer.from('two')],
  ['a.txt', Buffer.from('one')],
  ['fixtures/c.json', Buffer.alloc(1_000, 'c')],
  ['empty', Buffer.alloc(0)],
]);

describe('packArchive', () => {
  it('gives the same bytes for the same files in any order', () => {
    const packed = packArchive(FILES);

    assert.deepEqual(packArchive(new Map([...FILES].reverse())), packed);
    assert.deepEqual(packArchive(readArchive(packed)), packed);
  });

  it('packs what readArchive gives back', () => {
    const read = readArchive(packArchive(FILES));

    assert.deepEqual([...read.keys()], ['a.txt', 'b.txt', 'empty', 'fixtures/c.json']);
    for (const [name, content] of FILES) assert.deepEqual(read.get(name), content);
  });

  it('writes gzip and tar that others can read', () => {
    const tar = gunzipSync(packArchive(FILES));

    assert.equal(tar.toString('latin1', 257, 265), 'ustar\x0000');
    assert.equal(tar.length % 512, 0);
  });

  it('refuses more than a package holds', () => {
    const many = new Map(Array.from({ length: MAX_FILES + 1 }, (_, index) => [`f${index}`, Buffer.alloc(0)]));
    const random = createRandom(1);
    const noise = Buffer.from(Array.from({ length: MAX_PACKED_BYTES }, () => random.below(256)));

    assert.throws(() => packArchive(many), { code: 'ARCHIVE_INVALID' });
    assert.throws(() => packArchive(new Map([['x', noise]])), { code: 'ARCHIVE_TOO_LARGE' });
    assert.throws(() => packArchive(new Map([['x', Buffer.alloc(MAX_UNPACKED_BYTES)]])), { code: 'ARCHIVE_TOO_LARGE' });
  });
});

describe('readArchive', () => {
  const good: TarEntry = { name: 'a.txt', content: 'one' };

  it('reads an archive that was written as packages are, by another hand', () => {
    const files = readArchive(gzipOf(tarOf(good, { name: 'b/c.txt', content: 'two' })));

    assert.deepEqual(
      [...files],
      [
        ['a.txt', Buffer.from('one')],
        ['b/c.txt', Buffer.from('two')],
      ],
    );
  });

  const names: Readonly<Record<string, string | Buffer>> = {
    'a path that leads out': '../evil.js',
    'a path that leads out later': 'fixtures/../../evil.js',
    'a path that goes nowhere': './a.txt',
    'an absolute path': '/etc/passwd',
    'a drive': 'C:/evil.js',
    'a path with backslashes': '..\\evil.js',
    'a network path': '//host/share',
    'an empty part': 'a//b',
    'a folder': 'a/',
    'no name': '',
    'a hidden file': '.env',
    'a hidden folder': '.git/config',
    'a dot in a deeper part': 'a/.npmrc',
    'a control character': 'a\nb',
    'a space': 'a b',
    'a colon, which names a stream on Windows': 'a.txt:evil',
    'a full-width dot pair': Buffer.from('\uff0e\uff0e/evil.js'),
    'a one-dot leader': Buffer.from('\u2024\u2024/evil.js'),
    'a division slash': Buffer.from('..\u2215evil.js'),
    'an overlong slash': Buffer.from([0x2e, 0x2e, 0xc0, 0xaf, 0x65]),
    'a letter that looks like another': Buffer.from('m\u0430nifest.json'),
    'a combining accent': Buffer.from('e\u0301.txt'),
    'text that runs from right to left': Buffer.from('a\u202etxt.js'),
    'a zero-width space': Buffer.from('a\u200b.txt'),
    'percent-encoding': '%2e%2e/evil.js',
    'more folders than packages have': 'a/b/c/d/e',
    'something hidden after its NUL': 'a.txt\0/../../evil',
  };
  for (const [what, name] of Object.entries(names)) {
    it(`refuses a name with ${what}`, () => {
      assert.throws(() => readArchive(gzipOf(tarOf({ ...good, name }))), {
        name: 'PackageError',
        code: 'ARCHIVE_INVALID',
      });
    });
  }

  const entries: Readonly<Record<string, readonly [RegExp, ...TarEntry[]]>> = {
    'a hard link': [/hard link/, { ...good, type: '1', link: '/etc/passwd' }],
    'a symbolic link': [/symbolic link/, { ...good, type: '2', link: '/etc/passwd' }],
    'a character device': [/character device/, { ...good, type: '3' }],
    'a block device': [/block device/, { ...good, type: '4' }],
    'a folder': [/directory/, { name: 'fixtures', type: '5' }],
    'a FIFO': [/FIFO/, { ...good, type: '6' }],
    'a pax header': [/pax header/, { name: 'a.txt', type: 'x', content: '20 path=../../evil\n' }, good],
    'a pax header for all': [/pax header/, { name: 'pax_global', type: 'g', content: '20 path=../../evil\n' }, good],
    'a GNU long name': [/GNU long name/, { name: 'LongLink', type: 'L', content: '../../evil\0' }, good],
    'a GNU long link': [/GNU long link/, { name: 'LongLink', type: 'K', content: '/etc/passwd\0' }, good],
    'a sparse file': [/sparse/, { ...good, type: 'S' }],
    'a file of the old format': [/old format/, { ...good, type: '\0' }],
    'a kind nobody knows': [/unknown kind/, { ...good, type: 'Z' }],
    'a plain file with a link': [/links to another/, { ...good, link: '/etc/passwd' }],
    'a prefix to the name': [/prefix/, { ...good, prefix: '../..' }],
    'a header that is not ustar': [/not ustar/, { ...good, magic: 'ustar  \0' }],
    'a checksum that does not match': [/checksum/, { ...good, checksum: '000000\0 ' }],
    'a checksum written otherwise': [/checksum/, { ...good, checksum: '        ' }],
    'a size in base 256': [/octal/, { ...good, size: Buffer.from([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]) }],
    'a negative size': [/octal/, { ...good, size: '-0000000003\0' }],
    'a size with spaces': [/octal/, { ...good, size: '          3\0' }],
    'a size beyond the end': [/cut off/, { ...good, size: '77777777777\0' }],
    'a size smaller than the content': [/checksum/, { ...good, content: 'x'.repeat(600), size: '00000000003\0' }],
    'the same name twice': [/twice/, good, good],
    'one name in two cases': [/twice/, { name: 'A.txt' }, { name: 'a.TXT' }],
    'a file that is a folder too': [/file and a folder/, { name: 'a' }, { name: 'a/b' }],
    'names out of order': [/one form/, { name: 'b' }, { name: 'a' }],
    'a time': [/one form/, { ...good, mtime: '00000000001\0' }],
    'an owner': [/one form/, { ...good, uid: '0001750\0' }],
    'the name of an owner': [/one form/, { ...good, owner: 'root' }],
    'a set-user-id bit': [/one form/, { ...good, mode: '0004755\0' }],
    'text in the padding': [/one form/, { ...good, padding: 0x41 }],
  };
  for (const [what, [message, ...list]] of Object.entries(entries)) {
    it(`refuses ${what}`, () => {
      assert.throws(() => readArchive(gzipOf(tarOf(...list))), { code: 'ARCHIVE_INVALID', message });
    });
  }

  const tars: Readonly<Record<string, Buffer>> = {
    'no end': tarEntry(good),
    'half an end': Buffer.concat([tarEntry(good), Buffer.alloc(512)]),
    'a longer end': Buffer.concat([tarOf(good), Buffer.alloc(512)]),
    'an entry after the end': Buffer.concat([tarOf(good), tarOf({ name: 'b' })]),
    'bytes after the end': Buffer.concat([tarOf(good), Buffer.from('evil')]),
    'half a header': tarEntry(good).subarray(0, 300),
    'nothing at all': Buffer.alloc(0),
  };
  for (const [what, tar] of Object.entries(tars)) {
    it(`refuses a tar with ${what}`, () => {
      assert.throws(() => readArchive(gzipOf(tar)), { code: 'ARCHIVE_INVALID' });
    });
  }

  const tar = tarOf(good);
  const gzips: Readonly<Record<string, Buffer>> = {
    'nothing in it': Buffer.alloc(0),
    'no header': Buffer.from('PK\x03\x04 this is a zip of another kind'),
    'the name of a file': gzipOf(tar, { header: Buffer.from('1f8b08080000000002ff6100', 'hex') }),
    'a time': gzipOf(tar, { header: Buffer.from('1f8b08000100000002ff', 'hex') }),
    'the system it was made on': gzipOf(tar, { header: Buffer.from('1f8b0800000000000203', 'hex') }),
    'a wrong checksum': gzipOf(tar, { crc: 1 }),
    'a wrong size': gzipOf(tar, { size: 1 }),
    'bytes before the trailer': gzipOf(tar, { junk: Buffer.from('evil') }),
    'bytes after the trailer': Buffer.concat([gzipOf(tar), Buffer.from('evil')]),
    'zeros after the trailer': Buffer.concat([gzipOf(tar), Buffer.alloc(64)]),
    'a second member': Buffer.concat([gzipOf(tar), gzipOf(tarOf({ name: 'b' }))]),
    'a second member that ends the first one': Buffer.concat([gzipOf(tarEntry(good)), gzipOf(Buffer.alloc(1024))]),
    'its end cut off': gzipOf(tar).subarray(0, -9),
  };
  for (const [what, bytes] of Object.entries(gzips)) {
    it(`refuses a gzip with ${what}`, () => {
      assert.throws(() => readArchive(bytes), { code: 'ARCHIVE_INVALID' });
    });
  }

  it('stops unpacking at the bound, whatever size is declared', () => {
    const bomb = gzipOf(Buffer.alloc(256 * 1_048_576), { size: 10 });
    assert.ok(bomb.length < MAX_PACKED_BYTES, 'the bomb itself is small');
    const before = process.memoryUsage().arrayBuffers;

    assert.throws(() => readArchive(bomb), { code: 'ARCHIVE_TOO_LARGE' });

    const grownBytes = process.memoryUsage().arrayBuffers - before;
    assert.ok(grownBytes < 4 * MAX_UNPACKED_BYTES, `held ${grownBytes} bytes`);
  });

  it('refuses a package that is too large before it unpacks it', () => {
    assert.throws(() => readArchive(Buffer.alloc(MAX_PACKED_BYTES + 1)), { code: 'ARCHIVE_TOO_LARGE' });
  });

  it('refuses more files than packages have', () => {
    const many = Array.from({ length: MAX_FILES + 1 }, (_, index) => ({ name: `f${String(index).padStart(4, '0')}` }));

    assert.throws(() => readArchive(gzipOf(tarOf(...many))), { code: 'ARCHIVE_INVALID', message: /more than 200/ });
  });

  it('refuses what gzip itself writes, which names the system', () => {
    assert.throws(() => readArchive(gzipSync(tar)), { code: 'ARCHIVE_INVALID' });
  });

  it('refuses or reads alike, and never fails otherwise, whatever byte of the tar is changed', () => {
    const random = createRandom(20);
    const whole = tarOf(good, { name: 'b.txt', content: 'x'.repeat(700) });
    const accepted: string[] = [];
    for (let at = 0; at < whole.length; at += 1) {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] ?? 0) ^ (1 << random.below(8));
      try {
        // The content of a file may be anything: what it should be says the digest.
        const files = readArchive(gzipOf(changed));
        accepted.push(...[...files].filter(([, content]) => content.equals(Buffer.from('one'))).map(([name]) => name));
      } catch (error) {
        assert.equal((error as { code?: unknown }).code, 'ARCHIVE_INVALID', `byte ${at}: ${error}`);
      }
    }
    assert.deepEqual([...new Set(accepted)], ['a.txt'], 'only contents changed');
    assert.equal(accepted.length, 700, 'each byte of the other file, and no other');
  });
});
