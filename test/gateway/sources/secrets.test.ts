// Holds the stored forms of secrets to what they promise.
// Must not hold a real secret.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { hashKey, hashPassword, openSecret, sealSecret, verifyPassword } from '../../../gateway/sources/secrets.ts';

describe('secrets', () => {
  const key = randomBytes(32);

  it('hash a key as base64url of its SHA-256', () => {
    assert.equal(hashKey('abc'), 'ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0');
  });

  it('open to what was sealed, and are sealed differently each time', () => {
    const sealed = [sealSecret(key, 'geheim ✓'), sealSecret(key, 'geheim ✓')];

    assert.deepEqual(
      sealed.map((each) => openSecret(key, each)),
      ['geheim ✓', 'geheim ✓'],
    );
    assert.notEqual(sealed[0], sealed[1]);
    assert.match(sealed[0] ?? '', /^v1\.[\w-]{16}\.[\w-]{22}\.[\w-]+$/);
  });

  it('do not open with another key', () => {
    assert.throws(() => openSecret(randomBytes(32), sealSecret(key, 'x')), /does not open/);
  });

  const sealed = sealSecret(key, 'secret');
  const [version, iv, tag, text] = sealed.split('.');
  for (const [what, broken] of [
    ['a changed text', `${version}.${iv}.${tag}.${'A'.repeat(text?.length ?? 0)}`],
    ['a shortened tag', `${version}.${iv}.${tag?.slice(0, 6)}.${text}`],
    ['another version', `v2.${iv}.${tag}.${text}`],
    ['a missing part', `${version}.${iv}.${tag}`],
    ['nothing', ''],
  ] as const) {
    it(`do not open with ${what}`, () => {
      assert.throws(() => openSecret(key, broken), Error);
    });
  }

  it('take only a key of 32 bytes', () => {
    assert.throws(() => sealSecret(randomBytes(31), 'x'), RangeError);
  });

  it('verify the password that was hashed and no other', async () => {
    const hash = await hashPassword('open sesame');

    assert.match(hash, /^scrypt\$16384\$8\$1\$/);
    assert.equal(await verifyPassword('open sesame', hash), true);
    assert.equal(await verifyPassword('open sesam', hash), false);
  });

  for (const hash of [
    '',
    'scrypt$',
    'plain',
    `scrypt$9999999$99$99$${'A'.repeat(22)}$${'A'.repeat(43)}`,
    `scrypt$3$8$1$${'A'.repeat(22)}$${'A'.repeat(43)}`,
  ]) {
    it(`verify nothing against ${JSON.stringify(hash.slice(0, 24))}`, async () => {
      assert.equal(await verifyPassword('x', hash), false);
    });
  }
});
