// Tokens that must not pass: forged, malformed, or read two ways.
import assert from 'node:assert/strict';
import { fakeConsumers, fakeHost, type RunResult, readConfig, runPlugin, type TestHost } from 'sallyport/testing';
import type { Config } from './config.ts';
import { ecPair, forge, issue, part, rsaPair } from './forge.ts';
import { plugin } from './handler.ts';

const folder = new URL('.', import.meta.url);
const SECRET = 'a secret of at least thirty-two bytes';
const rsa = rsaPair();
const ec = ecPair();
const NOW = fakeHost().clock.wallMs() / 1000;
const claims = { iss: 'alice', exp: NOW + 60 };
const consumers = fakeConsumers({
  username: 'alice',
  credentials: [
    { type: 'jwt', key: 'alice', algorithm: 'HS256', secret: SECRET },
    { type: 'jwt', key: 'rsa', algorithm: 'RS256', publicKey: rsa.pem },
    { type: 'jwt', key: 'ec', algorithm: 'ES256', publicKey: ec.pem },
  ],
});

function send(token: string, config: object = {}, host: TestHost = fakeHost()): Promise<RunResult> {
  return runPlugin(plugin, {
    config: readConfig<Config>(folder, config),
    host,
    request: { consumers, headers: { authorization: `Bearer ${token}` } },
  });
}

async function assertRefused(token: string, config: object = {}): Promise<void> {
  const { status, headers, reachedUpstream, exchange } = await send(token, config);

  assert.deepEqual([status, reachedUpstream, exchange.consumer], [401, false, undefined]);
  assert.match(headers.get('www-authenticate') ?? '', /^Bearer realm="sallyport", error="invalid_token"$/);
}

describe('a token', () => {
  describe('and the algorithm', () => {
    const pemSecrets = [rsa.pem, rsa.pem.trim(), ` ${rsa.pem}`, `\n${rsa.pem}`, rsa.pem.replaceAll('\n', '\r\n')];
    for (const secret of pemSecrets) {
      it(`refuses HS256 made with a public key of ${secret.length} characters as its secret`, async () => {
        await assertRefused(issue({ ...claims, iss: 'rsa' }, secret));
      });
    }

    for (const alg of [
      'none',
      'None',
      'NONE',
      'nOnE',
      '',
      null,
      undefined,
      1,
      ['HS256'],
      { alg: 'HS256' },
      'hs256',
      'HS256 ',
    ]) {
      it(`refuses alg ${JSON.stringify(alg)}, signed or not`, async () => {
        await assertRefused(`${part({ alg })}.${part(claims)}.`);
        await assertRefused(forge({ alg }, claims, SECRET));
      });
    }

    it('refuses an algorithm other than the credential has, made with the same key', async () => {
      await assertRefused(issue(claims, SECRET, 'HS512'));
      await assertRefused(issue({ ...claims, iss: 'rsa' }, rsa.privateKey, 'PS256'));
      await assertRefused(issue({ ...claims, iss: 'ec' }, ecPair('P-384').privateKey, 'ES384'));
    });

    it('refuses an algorithm that the configuration does not list', async () => {
      await assertRefused(issue(claims, SECRET), { algorithms: ['RS256'] });
    });
  });

  describe('and the signature', () => {
    const token = issue({ ...claims, iss: 'ec' }, ec.privateKey, 'ES256');
    const [header = '', payload = '', mac = ''] = token.split('.');
    const raw = Buffer.from(mac, 'base64url');
    const with0 = (bytes: Buffer): string => `${header}.${payload}.${bytes.toString('base64url')}`;
    const forged: [string, string][] = [
      ['is of another key', issue(claims, 'another secret of thirty-two bytes!!')],
      ['is of another EC key', issue({ ...claims, iss: 'ec' }, ecPair().privateKey, 'ES256')],
      ['belongs to other claims', `${header}.${part({ ...claims, iss: 'ec', admin: true })}.${mac}`],
      ['belongs to another header', `${part({ alg: 'ES256' })}.${payload}.${mac}`],
      ['is missing', `${header}.${payload}.`],
      ['is missing with its dot', `${header}.${payload}`],
      ['is zero', with0(Buffer.alloc(64))],
      ['is short', with0(raw.subarray(0, 63))],
      ['is long', with0(Buffer.concat([raw, Buffer.alloc(1)]))],
      ['is DER', with0(Buffer.concat([Buffer.from([0x30, 0x44]), raw]))],
      ['has padding', `${token}==`],
      ['has spare bits', `${token.slice(0, -1)}${String.fromCharCode(token.charCodeAt(token.length - 1) + 1)}`],
      ['is followed by another part', `${token}.${mac}`],
      ['has white space', `${header}.${payload}. ${mac}`],
      ['is base64, not base64url', `${header}.${payload}.${raw.toString('base64')}+/`],
    ];
    for (const [why, text] of forged) {
      it(`refuses a token whose signature ${why}`, async () => {
        await assertRefused(text);
      });
    }
  });

  describe('and the header', () => {
    const evil: object[] = [
      { crit: ['exp'], exp: 1 },
      { crit: [] },
      { b64: false, crit: ['b64'] },
      { b64: true },
      { zip: 'DEF' },
      { jku: 'https://evil.test/jwks' },
      { jwk: rsa.publicKey.export({ format: 'jwk' }) },
      { x5u: 'https://evil.test/cert' },
      { x5c: ['MIIB'] },
      { kid: 7 },
      { kid: 'k'.repeat(513) },
    ];
    for (const more of evil) {
      // Cut before what is random of a key.
      it(`refuses ${JSON.stringify(more).slice(0, 24)} and fetches nothing`, async () => {
        const host = fakeHost();

        const { status } = await send(issue(claims, SECRET, 'HS256', more), {}, host);

        assert.deepEqual([status, host.fetched], [401, []]);
      });
    }

    for (const header of [
      '{"alg":"HS256","alg":"none"}',
      '{"alg":"none","alg":"HS256"}',
      '["HS256"]',
      'HS256',
      '\uFEFF{"alg":"HS256"}',
    ]) {
      it(`refuses the header ${header}`, async () => {
        await assertRefused(forge(header, claims, SECRET));
      });
    }
  });

  describe('and the claims', () => {
    const wrong: [string, unknown, object?][] = [
      ['no exp', { iss: 'alice' }],
      ['exp now', { ...claims, exp: NOW }],
      ['exp past', { ...claims, exp: NOW - 1 }],
      ['exp beyond the skew', { ...claims, exp: NOW - 10 }, { clockSkewSeconds: 10 }],
      ['exp 1e400', `{"iss":"alice","exp":1e400}`],
      ['exp 1e300', `{"iss":"alice","exp":1e300}`],
      ['exp as text', { ...claims, exp: String(NOW + 60) }],
      ['exp null', { ...claims, exp: null }],
      ['exp twice', `{"iss":"alice","exp":1,"exp":${NOW + 60}}`],
      ['iss twice', `{"iss":"bob","iss":"alice","exp":${NOW + 60}}`],
      ['nbf ahead', { ...claims, nbf: NOW + 1 }],
      ['nbf as text', { ...claims, nbf: '0' }],
      ['nbf negative', { ...claims, nbf: -1 }],
      ['iat 1e400', `{"iss":"alice","exp":${NOW + 60},"iat":1e400}`],
      ['no iss', { exp: NOW + 60 }],
      ['iss of nobody', { ...claims, iss: 'nobody' }],
      ['iss as a list', { ...claims, iss: ['alice'] }],
      ['iss __proto__', `{"__proto__":{"iss":"alice"},"exp":${NOW + 60}}`],
      ['no aud where one is asked for', claims, { audience: ['orders'] }],
      ['another aud', { ...claims, aud: ['a', 'b'] }, { audience: ['orders'] }],
      ['aud that only contains the name', { ...claims, aud: 'orders2' }, { audience: ['orders'] }],
      ['aud as a number', { ...claims, aud: 1 }],
      ['aud as a list of lists', { ...claims, aud: [['orders']] }, { audience: ['orders'] }],
      ['an issuer that is not listed', claims, { issuer: ['bob'] }],
      ['claims that are a list', [claims]],
      ['claims that are no JSON', 'x'],
      ['claims too deep', `{"iss":"alice","exp":${NOW + 60},"x":${'['.repeat(2000)}${']'.repeat(2000)}}`],
      ['claims too long', { ...claims, x: 'x'.repeat(8192) }],
    ];
    for (const [what, payload, config] of wrong) {
      it(`refuses ${what}`, async () => {
        await assertRefused(issue(payload, SECRET), config);
      });
    }

    const right: [string, object, object?][] = [
      ['exp within the skew', { ...claims, exp: NOW - 9 }, { clockSkewSeconds: 10 }],
      ['nbf within the skew', { ...claims, nbf: NOW + 10 }, { clockSkewSeconds: 10 }],
      ['no exp where none is asked for', { iss: 'alice' }, { claimsToVerify: [] }],
      ['nbf ahead where it is not asked for', { ...claims, nbf: NOW + 9 }, { claimsToVerify: ['exp'] }],
      ['one of several audiences', { ...claims, aud: ['a', 'orders'] }, { audience: ['x', 'orders'] }],
      ['the one audience', { ...claims, aud: 'orders' }, { audience: ['orders'] }],
      ['a listed issuer', claims, { issuer: ['bob', 'alice'] }],
    ];
    for (const [what, payload, config] of right) {
      it(`accepts ${what}`, async () => {
        assert.equal((await send(issue(payload, SECRET), config)).status, 200);
      });
    }
  });
});
