// Envelopes by the protocol's own vectors, and by what attackers do to them.
import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import {
  addSignature,
  buildPreAuthEncoding,
  type Envelope,
  readEnvelope,
  readPayload,
  signEnvelope,
  verifySignatures,
} from '../../../gateway/package/dsse.ts';
import { generateKeys, keyIdOf } from '../../../gateway/package/keys.ts';

const PKCS8_HEAD = '302e020100300506032b657004220420';
const TYPE = 'application/vnd.in-toto+json';
const PAYLOAD = Buffer.from('{"_type":"https://in-toto.io/Statement/v1"}');

function keyOf(seed: string): KeyObject {
  return createPrivateKey({ key: Buffer.from(PKCS8_HEAD + seed, 'hex'), format: 'der', type: 'pkcs8' });
}

/** Seed, public key, message, signature. @see RFC 8032 section 7.1, tests 1, 2, 3 and SHA(abc) */
const RFC_8032: readonly (readonly [string, string, string, string])[] = [
  [
    '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    '',
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  ],
  [
    '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    '72',
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  ],
  [
    'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    'af82',
    '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  ],
  [
    '833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42',
    'ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf',
    'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
    'dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704',
  ],
];
const [A, B] = [keyOf(RFC_8032[0]?.[0] ?? ''), keyOf(RFC_8032[1]?.[0] ?? '')];
const KEYS = new Map([
  ['A', createPublicKey(A)],
  ['B', createPublicKey(B)],
]);
// The two signatures of the protocol's own vectors, by the keys A and B.
const BY_A = '2WAfaHm5jluo0w+0rk8uVkluELJYWjSmU9x7EUzx+AyteDGJ4/nqyJXfmAUVFIAoQafWm7AxBZNw5M9ixNHiCA==';
const BY_B = 'c1+67/aT0yqEpwx8PsVY3MLHsj9D0CZ014/Fv/QlG59P+9CobUZ7xECJ/V3USG0Ob9CiE5LjReEZUzNF2l7eBw==';

describe('Ed25519 of node:crypto', () => {
  for (const [seed, publicKey, message, signature] of RFC_8032) {
    it(`signs ${message.length / 2} bytes as RFC 8032 says`, () => {
      const key = keyOf(seed);
      const bytes = Buffer.from(message, 'hex');

      assert.equal(sign(null, bytes, key).toString('hex'), signature);
      assert.equal(
        createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(12).toString('hex'),
        publicKey,
      );
      assert.ok(verify(null, bytes, createPublicKey(key), Buffer.from(signature, 'hex')));
    });
  }
});

describe('buildPreAuthEncoding', () => {
  it('encodes as the example of the protocol', () => {
    const encoded = buildPreAuthEncoding('http://example.com/HelloWorld', Buffer.from('hello world'));

    assert.equal(encoded.toString(), 'DSSEv1 29 http://example.com/HelloWorld 11 hello world');
  });

  it('counts bytes, not characters', () => {
    assert.equal(buildPreAuthEncoding('ä', Buffer.alloc(0)).toString(), 'DSSEv1 2 ä 0 ');
  });
});

describe('verifySignatures', () => {
  const envelope = (changes: object = {}): Envelope => ({
    payload: PAYLOAD.toString('base64'),
    payloadType: TYPE,
    signatures: [{ sig: BY_A, keyid: 'A' }],
    ...changes,
  });
  const both = [
    { sig: BY_A, keyid: 'A' },
    { sig: BY_B, keyid: 'B' },
  ];
  /** Envelope and who signed it, from the vectors of the protocol's repository. */
  const vectors: Readonly<Record<string, readonly [Envelope, readonly string[]]>> = {
    'one signature': [envelope(), ['A']],
    'base64 in the other alphabet': [
      envelope({
        payload: '-_-_Pj8=',
        signatures: [
          {
            keyid: 'A',
            sig: 'P-_KHICeR7tI6S_YyejJTRtrXhcQyQ2LYPaL8h90KjC9qN8HU_svOQ6TuDOT1HIrsGW886DbWNWcCmX5twLrAw==',
          },
        ],
      }),
      ['A'],
    ],
    'another payload type than was signed': [envelope({ payloadType: 'application/vnd.example.other+json' }), []],
    'a payload type beyond ASCII': [
      envelope({
        payloadType: 'application/vnd.exämple+json',
        signatures: [
          {
            keyid: 'A',
            sig: 'xmSk/ug66ysT7ayhkCIjhAq42zgZXSsEWuzUaNL7w2eGAdF/NU6/fRXPtmfN+5DNSAs5/i2lUnHjbbjPsu0tAw==',
          },
        ],
      }),
      ['A'],
    ],
    'an empty payload': [
      envelope({
        payload: '',
        signatures: [
          {
            keyid: 'A',
            sig: 'gSggCAaTLTYyRH6FIDBem6meyIynsYy8RTHVzwx9tnTb7Bg/1jMWnuVgI/gffqmbsC2VX5/jHfkkDqsj7CDbDg==',
          },
        ],
      }),
      ['A'],
    ],
    'two signatures': [envelope({ signatures: both }), ['A', 'B']],
    'one signature twice': [envelope({ signatures: [both[0], both[0]] }), ['A']],
    'two signatures without key ids': [envelope({ signatures: [{ sig: BY_A }, { sig: BY_B }] }), ['A', 'B']],
  };
  for (const [what, [one, signers]] of Object.entries(vectors)) {
    it(`says who signed: ${what}`, () => {
      assert.deepEqual([...verifySignatures(one, KEYS)], signers);
    });
  }

  it('does not count a signature under the id of another key', () => {
    assert.deepEqual([...verifySignatures(envelope({ signatures: [{ sig: BY_A, keyid: 'B' }] }), KEYS)], []);
  });

  it('does not count a signature whose scalar is not reduced', () => {
    const order = 2n ** 252n + 27742317777372353535851937790883648493n;
    const bytes = Buffer.from(BY_A, 'base64');
    const scalar = BigInt(`0x${Buffer.from(bytes.subarray(32)).reverse().toString('hex')}`) + order;
    const other = Buffer.from(scalar.toString(16).padStart(64, '0'), 'hex').reverse();
    const sig = Buffer.concat([bytes.subarray(0, 32), other]).toString('base64');

    assert.deepEqual([...verifySignatures(envelope({ signatures: [{ sig, keyid: 'A' }] }), KEYS)], []);
  });

  it('does not count an empty or short signature', () => {
    for (const sig of ['', 'AA==', Buffer.alloc(63).toString('base64'), Buffer.alloc(65).toString('base64')]) {
      assert.deepEqual([...verifySignatures(envelope({ signatures: [{ sig, keyid: 'A' }] }), KEYS)], []);
    }
  });
});

describe('readEnvelope', () => {
  const { privateKey } = generateKeys();
  const good = signEnvelope(TYPE, PAYLOAD, privateKey);
  const [signature] = good.signatures;
  const bad: Readonly<Record<string, unknown>> = {
    'no object': null,
    'a list': [],
    'a field that nobody signed': { ...good, note: 'trust me' },
    'a field of a signature that nobody knows': { ...good, signatures: [{ ...signature, cert: 'x' }] },
    'no payload': { payloadType: TYPE, signatures: [] },
    'no signatures': { ...good, signatures: {} },
    'a signature that is no object': { ...good, signatures: ['x'] },
    'a signature without its bytes': { ...good, signatures: [{ keyid: 'x' }] },
    'a key id that is no text': { ...good, signatures: [{ ...signature, keyid: 1 }] },
    'base64 of both alphabets': { ...good, payload: 'ab+_' },
    'base64 with spaces': { ...good, payload: `${good.payload} ` },
    'base64 without its padding': { ...good, payload: 'YQ' },
    'base64 with bits beyond its end': { ...good, payload: 'YR==' },
    'more signatures than anybody needs': { ...good, signatures: Array(17).fill(signature) },
    'a payload beyond its bound': { ...good, payload: 'A'.repeat(12_000_000) },
  };
  for (const [what, value] of Object.entries(bad)) {
    it(`refuses ${what}`, () => {
      assert.throws(() => readEnvelope(value), { name: 'PackageError', code: 'ENVELOPE_INVALID' });
    });
  }

  it('takes what came as JSON', () => {
    assert.deepEqual(readEnvelope(JSON.parse(JSON.stringify(good))), good);
  });
});

describe('signEnvelope', () => {
  const { privateKey, publicKey, keyid } = generateKeys();

  it('signs so that the key verifies, and names it', () => {
    const envelope = signEnvelope(TYPE, PAYLOAD, privateKey);

    assert.deepEqual([...verifySignatures(envelope, new Map([[keyid, publicKey]]))], [keyid]);
    assert.deepEqual(readPayload(envelope, TYPE), PAYLOAD);
  });

  it('adds the signature of another key, and one of the same key once', () => {
    const other = generateKeys();
    const keys = new Map([
      [keyid, publicKey],
      [other.keyid, other.publicKey],
    ]);

    const envelope = addSignature(
      addSignature(signEnvelope(TYPE, PAYLOAD, privateKey), other.privateKey),
      other.privateKey,
    );

    assert.equal(envelope.signatures.length, 2);
    assert.equal(keyIdOf(other.privateKey), other.keyid);
    assert.deepEqual([...verifySignatures(envelope, keys)].toSorted(), [keyid, other.keyid].toSorted());
  });

  it('adds no signature that would make the envelope unreadable', () => {
    const envelope = signEnvelope(TYPE, PAYLOAD, privateKey);
    const [signature = { keyid: '', sig: '' }] = envelope.signatures;
    const full = { ...envelope, signatures: Array(16).fill({ ...signature, keyid: 'other' }) };

    assert.throws(() => addSignature(full, privateKey), { code: 'ENVELOPE_INVALID' });
  });

  it('does not give the payload as something that was not signed for', () => {
    const envelope = signEnvelope(TYPE, PAYLOAD, privateKey);

    assert.throws(() => readPayload(envelope, 'application/vnd.sallyport.root.v1+json'), { code: 'ENVELOPE_INVALID' });
  });
});
