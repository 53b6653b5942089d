// Keys as text: what is written is read again, by us and by OpenSSL; what is no Ed25519 key is refused.
import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import {
  generateKeys,
  keyIdOf,
  readKeyEntries,
  readPrivateKey,
  readPublicKey,
  readPublicKeys,
  toKeyEntry,
  writePrivateKey,
  writePublicKey,
} from '../../../gateway/package/keys.ts';

const PAIR = generateKeys();
/** RFC 8410 section 10.1 and 10.3: the example keys of the standard. */
const RFC_8410_PUBLIC = 'MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=';
const RFC_8410_PRIVATE =
  '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n';

describe('keys', () => {
  it('reads the example of RFC 8410, and finds its halves to belong together', () => {
    const key = readPrivateKey(RFC_8410_PRIVATE);

    assert.equal(toKeyEntry(key).publicKey, RFC_8410_PUBLIC);
    assert.equal(keyIdOf(key), keyIdOf(readPublicKey(RFC_8410_PUBLIC)));
  });

  it('names a key by the SHA-256 of its SPKI', () => {
    assert.match(PAIR.keyid, /^[0-9a-f]{64}$/);
    assert.equal(keyIdOf(PAIR.privateKey), PAIR.keyid);
    assert.equal(keyIdOf(PAIR.publicKey), PAIR.keyid);
    assert.notEqual(generateKeys().keyid, PAIR.keyid);
  });

  it('reads the public key that it wrote, as PEM and as base64', () => {
    const pem = writePublicKey(PAIR.publicKey);

    assert.equal(pem, PAIR.publicKey.export({ format: 'pem', type: 'spki' }));
    assert.equal(keyIdOf(readPublicKey(pem)), PAIR.keyid);
    assert.equal(keyIdOf(readPublicKey(`${toKeyEntry(PAIR.publicKey).publicKey}\n`)), PAIR.keyid);
  });

  it('writes the public half of a private key', () => {
    assert.equal(writePublicKey(PAIR.privateKey), writePublicKey(PAIR.publicKey));
  });

  it('reads the private key that it wrote', () => {
    const pem = writePrivateKey(PAIR.privateKey);

    assert.equal(pem, PAIR.privateKey.export({ format: 'pem', type: 'pkcs8' }));
    assert.ok(readPrivateKey(pem).equals(PAIR.privateKey));
  });

  it('encrypts a private key so that OpenSSL reads it with the passphrase, and nobody without', () => {
    const pem = writePrivateKey(PAIR.privateKey, 'correct horse');

    assert.match(pem, /^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/);
    assert.ok(createPrivateKey({ key: pem, passphrase: 'correct horse' }).equals(PAIR.privateKey));
    assert.ok(readPrivateKey(pem, 'correct horse').equals(PAIR.privateKey));
    assert.throws(() => readPrivateKey(pem), { code: 'KEY_INVALID', message: /passphrase/ });
  });

  it('says that the passphrase is wrong, or else that the key may be damaged', () => {
    const pem = writePrivateKey(PAIR.privateKey, 'correct horse');
    const damaged = `${pem.slice(0, 60)}${pem[60] === 'A' ? 'B' : 'A'}${pem.slice(61)}`;

    const expected = { name: 'PackageError', code: 'KEY_INVALID', message: /^the passphrase is wrong/ };
    assert.throws(() => readPrivateKey(pem, 'wrong horse'), expected);
    assert.throws(() => readPrivateKey(damaged, 'correct horse'), expected);
  });

  it('encrypts by scrypt, which Node alone would not', () => {
    const der = Buffer.from(writePrivateKey(PAIR.privateKey, 'x').replace(/-----.*-----|\n/g, ''), 'base64');

    assert.ok(der.includes(Buffer.from('06092b06010401da47040b', 'hex')), 'the object identifier of scrypt');
  });

  it('gives two texts for one key and passphrase: salt and vector are fresh', () => {
    assert.notEqual(writePrivateKey(PAIR.privateKey, 'x'), writePrivateKey(PAIR.privateKey, 'x'));
  });

  it('reads a passphrase beyond ASCII as UTF-8', () => {
    assert.ok(readPrivateKey(writePrivateKey(PAIR.privateKey, 'Zugbrücke 🏰'), 'Zugbrücke 🏰').equals(PAIR.privateKey));
  });

  it('reads several pinned keys from one file', () => {
    const other = generateKeys();

    const keys = readPublicKeys(`# root keys\n${writePublicKey(PAIR.publicKey)}\n${writePublicKey(other.publicKey)}`);

    assert.deepEqual([...keys.keys()], [PAIR.keyid, other.keyid]);
    assert.throws(() => readPublicKey(writePublicKey(PAIR.publicKey) + writePublicKey(other.publicKey)), {
      code: 'KEY_INVALID',
    });
  });

  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const ed448 = generateKeyPairSync('ed448');
  const spki = Buffer.from(RFC_8410_PUBLIC, 'base64');
  const bad: Readonly<Record<string, string>> = {
    'no text': '',
    'a text that is no key': 'hello',
    'an empty PEM': '-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n',
    'an RSA key': String(rsa.publicKey.export({ format: 'pem', type: 'spki' })),
    'a key on P-256': String(ec.publicKey.export({ format: 'pem', type: 'spki' })),
    'an Ed448 key': String(ed448.publicKey.export({ format: 'pem', type: 'spki' })),
    'a private key': RFC_8410_PRIVATE,
    'a key with bytes after it': Buffer.concat([spki, Buffer.from([0])]).toString('base64'),
    'a key that is cut off': spki.subarray(0, -1).toString('base64'),
    'base64 with spaces inside': RFC_8410_PUBLIC.replace('A', 'A '),
    'more text than keys have': `${'x'.repeat(20_000)}${RFC_8410_PUBLIC}`,
  };
  for (const [what, text] of Object.entries(bad)) {
    it(`refuses ${what} where a public key is expected`, () => {
      assert.throws(() => readPublicKey(text), { name: 'PackageError', code: 'KEY_INVALID' });
    });
  }

  it('refuses a private key of another kind, and what is none', () => {
    for (const text of [String(rsa.privateKey.export({ format: 'pem', type: 'pkcs8' })), 'x', RFC_8410_PUBLIC]) {
      assert.throws(() => readPrivateKey(text), { code: 'KEY_INVALID' });
    }
  });

  it('refuses a list in which an id is not that of its key', () => {
    const entry = toKeyEntry(PAIR.publicKey);
    const other = toKeyEntry(generateKeys().publicKey);

    assert.deepEqual([...readKeyEntries([entry, other]).keys()], [entry.keyid, other.keyid]);
    assert.throws(() => readKeyEntries([{ ...entry, publicKey: other.publicKey }]), { code: 'KEY_INVALID' });
  });

  it('signs with what it reads', () => {
    const signature = sign(null, Buffer.from('x'), readPrivateKey(writePrivateKey(PAIR.privateKey, 'x'), 'x'));

    assert.ok(signature.equals(sign(null, Buffer.from('x'), PAIR.privateKey)));
    assert.ok(createPublicKey(PAIR.privateKey).equals(PAIR.publicKey));
  });
});
