// Patterns of strangers: they match what they match elsewhere, or are refused, and none of them takes long.
import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { buildSafePattern } from '../../../../gateway/core/routing/safe-pattern.ts';

describe('buildSafePattern', () => {
  const same: readonly (readonly [string, ...string[]])[] = [
    ['^[A-Za-z ]{1,40}$', '', 'a', 'a'.repeat(40), 'a'.repeat(41), 'a1'],
    ['^[0-9a-f]{64}$', 'a'.repeat(63), 'a'.repeat(64), 'a'.repeat(65), 'A'.repeat(64)],
    ['^[\\x21-\\x7e]([\\x20-\\x7e]*[\\x21-\\x7e])?$', '', 'a', 'a b', 'a ', ' a'],
    ['^(\\*\\.)?[a-z0-9_]([a-z0-9_-]{0,62})?(\\.[a-z0-9_]([a-z0-9_-]{0,62})?)*$', '*.a', 'a.b-c', '-a', 'a..b', '*'],
    ['^a{2,}$', 'a', 'aa', 'aaaa'],
    ['^a{0}b$', 'b', 'ab'],
    ['^(ab){2}$', 'ab', 'abab', 'ababab'],
    ['^(a|bc){2,3}?$', 'abc', 'bcbcbc', 'a', 'aaaa'],
    ['^[{}]{2}$', '{}', '{'],
    ['^\\{\\d{3}\\}$', '{123}', '{12}'],
    ['^[\\]]{2}$', ']]', ']'],
    ['^\\u0041{2}\\x42{2}$', 'AABB', 'AAB'],
    ['^(?<year>\\d{4})-(?:\\d{2})$', '2026-11', '26-11'],
    ['^(x{2}y{2}){2}$', 'xxyyxxyy', 'xxyyxxy'],
    ['a|b{2}', 'a', 'bb', 'b', 'c'],
    ['^.{3}$', 'abc', 'a\nc', 'ab'],
    ['', '', 'a'],
  ];
  for (const [pattern, ...texts] of same) {
    it(`matches as the other engine does: ${pattern}`, () => {
      const safe = buildSafePattern(pattern);
      const usual = new RegExp(pattern, 'u');

      for (const text of texts) assert.equal(safe.test(text), usual.test(text), JSON.stringify(text));
    });
  }

  const refused: readonly string[] = [
    '(a)\\1',
    '(?<a>x)\\k<a>',
    '(?=a)b',
    '(?!a)b',
    '(?<=a)b',
    '(?<!a)b',
    '\\p{L}',
    '[\\p{L}]',
    '\\u{1F600}',
    '\\01',
    'a{1,2}{3}',
    'a{2}+',
    'a|{2}',
    '^{2}',
    '\\b{2}',
    '{2}',
    'a{2,1}',
    'a{x}',
    'a}',
    'a]',
    '(a',
    'a)',
    'a)|(b',
    '[a',
    '\\',
    'a{99999}',
    '(((a{20}){20}){20}){20}',
    'a'.repeat(600),
  ];
  for (const pattern of refused) {
    it(`refuses ${pattern.slice(0, 40)}`, () => {
      assert.throws(() => buildSafePattern(pattern), SyntaxError);
    });
  }

  for (const pattern of [
    '^(a+)+$',
    '^(a|a)*$',
    '^(a|aa)+$',
    '^(.*)*$',
    '^(a?){50}a{50}$',
    '^(\\w+\\s?)*$',
    '.*.*.*.*x$',
  ]) {
    it(`takes a time that grows with the text alone: ${pattern}`, () => {
      const text = `${'a'.repeat(20_000)}!`;
      const safe = buildSafePattern(pattern);

      const startMs = performance.now();
      safe.test(text);
      const tookMs = performance.now() - startMs;

      // Backtracking would outlast the universe for the first ones, and minutes for the last.
      assert.ok(tookMs < 2_000, `took ${tookMs} ms`);
    });
  }
});
