// The canonical path: what passes byte for byte, what is normalised, what is refused.
import assert from 'node:assert/strict';
import { GatewayError } from '../../../../gateway/core/errors.ts';
import { comparablePath, readPath, readRequestTarget, readTarget } from '../../../../gateway/core/routing/path.ts';

const UNCHANGED = [
  '/',
  '/a',
  '/a/b',
  '/a/',
  '/a%20b',
  '/a%2Bb',
  '/a,b=c',
  '/%E2%82%AC',
  '/a.b',
  '/.well-known/x',
  '/...',
  '/a|b[1]',
];
const NORMALISED: readonly (readonly [string, string])[] = [
  ['/%61dmin', '/admin'],
  ['/%7Euser', '/~user'],
  ['/a%2bb', '/a%2Bb'],
  ['/%e2%82%ac', '/%E2%82%AC'],
];
const AMBIGUOUS = [
  '//a',
  '/a//b',
  '/a/./b',
  '/a/../b',
  '/..',
  '/a/..',
  '/%2e%2e/a',
  '/a/%2E',
  '/.%2e/x',
  '/a%2Fb',
  '/a%2fb',
  '/a%5Cb',
  '/a\\b',
  '/a;b',
  '/a%3bb',
  '/a%23b',
  '/a%3Fb',
  '/a%00b',
  '/a%0d%0ab',
  '/a%7f',
  '/a%C0%AFb',
  '/a%FF',
  '/%E2%82',
  '/%E2a',
];
const MALFORMED = [
  '',
  'a',
  '*',
  '/a b',
  '/a#b',
  '/a%',
  '/a%2',
  '/a%zz',
  '/a\u0000',
  '/ä',
  '/a"b',
  '/a<b',
  '/a?b#c',
  '/a?b c',
];

describe('canonical path', () => {
  for (const path of UNCHANGED) {
    it(`leaves ${path} byte for byte`, () => assert.equal(readTarget(path).path, path));
  }

  for (const [sent, canonical] of NORMALISED) {
    it(`reads ${sent} as ${canonical}`, () => assert.equal(readTarget(sent).path, canonical));
  }

  for (const path of AMBIGUOUS) {
    it(`refuses ${JSON.stringify(path)} as ambiguous`, () => {
      assert.throws(() => readTarget(path), { code: 'PATH_AMBIGUOUS', status: 400 });
    });
  }

  for (const target of MALFORMED) {
    it(`refuses ${JSON.stringify(target)} as malformed`, () => {
      assert.throws(() => readTarget(target), { code: 'REQUEST_MALFORMED', status: 400 });
    });
  }

  it('keeps the query as sent, encoded or not', () => {
    assert.deepEqual(readTarget('/a?b=%2f&c=[1]|x'), { path: '/a', query: 'b=%2f&c=[1]|x' });
    assert.equal(readTarget('/a?').query, '');
    assert.equal(readTarget('/a').query, undefined);
  });

  it('accepts absolute-form only for the host that Host names', () => {
    assert.equal(readRequestTarget('http://h:1/a?b', 'h:1').path, '/a');
    assert.equal(readRequestTarget('http://h', 'h').path, '/');
    for (const target of ['http://other/a', 'http://h@other/a', 'ftp://h/a', 'h:443', '*']) {
      assert.throws(() => readRequestTarget(target, 'h'), { code: 'REQUEST_MALFORMED' });
    }
  });

  it('gives a form that is its own canonical form, for 100 000 generated paths', () => {
    const pieces = [
      '/',
      '/',
      'a',
      'B',
      '.',
      '..',
      '%2e',
      '%2F',
      '%41',
      '%c3%a9',
      '%20',
      ';',
      '\\',
      '~',
      '-',
      '%',
      '%25',
      '+',
    ];
    let seed = 7;
    const random = (below: number): number => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % below;
    };
    let accepted = 0;

    for (let round = 0; round < 100_000; round++) {
      let path = '/';
      for (let count = random(8); count >= 0; count--) path += pieces[random(pieces.length)] ?? '';
      try {
        const canonical = readPath(path);
        accepted++;
        assert.equal(readPath(canonical), canonical);
        // What any server decodes to has neither dot segments nor separators that were not there before.
        const decoded = decodeURIComponent(canonical);
        const segments = decoded.split('/').slice(1);
        assert.equal(segments.length, canonical.split('/').length - 1);
        assert.ok(!segments.includes('.') && !segments.includes('..'), decoded);
        assert.ok(!segments.slice(0, -1).includes(''), decoded);
      } catch (error) {
        if (!(error instanceof GatewayError)) throw error;
      }
    }
    assert.ok(accepted > 1000, `only ${accepted} were accepted`);
  });
});

describe('comparablePath', () => {
  const FORMS: Readonly<Record<string, string>> = {
    '/users/@me': '/users/@me',
    '/users/%40me': '/users/@me',
    '/a%2Bb%3A%24': '/a+b:$',
    '/users/%2540me': '/users/%2540me',
    '/a%20b/%E2%82%AC': '/a%20b/%E2%82%AC',
  };

  for (const [path, form] of Object.entries(FORMS)) {
    it(`takes ${path} for ${form}, so that no spelling leads past a route`, () => {
      assert.equal(comparablePath(path), form);
    });
  }
});
