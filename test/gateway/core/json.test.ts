// Reading JSON that two readers could read differently.
import assert from 'node:assert/strict';
import { MAX_JSON_DEPTH, readJson } from '../../../gateway/core/json.ts';

describe('readJson', () => {
  const good = [
    'null',
    '""',
    '{"a":{"b":[1,"{\\"a\\":1,\\"a\\":2}"]},"b":{"a":1}}',
    '[{"a":1},{"a":2}]',
    '{"a":"b","b":"a"}',
  ];
  for (const text of good) {
    it(`reads ${text}`, () => {
      assert.deepEqual(readJson(text), JSON.parse(text));
      assert.deepEqual(readJson(Buffer.from(text)), JSON.parse(text));
    });
  }

  const bad = [
    '',
    '{',
    '\uFEFF{}',
    '{"a":1,"a":2}',
    '{"a":1,"\\u0061":2}',
    '[{"b":{"a":1,"x":[],"a":2}}]',
    '{"a" : 1, "a" \n: 1}',
  ];
  for (const text of bad) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => readJson(text), SyntaxError);
    });
  }

  it('refuses bytes that are not UTF-8', () => {
    assert.throws(() => readJson(Uint8Array.of(0x22, 0xff, 0x22)), SyntaxError);
  });

  it('bounds the depth', () => {
    const nest = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

    assert.ok(readJson(nest(MAX_JSON_DEPTH)));
    assert.throws(() => readJson(nest(MAX_JSON_DEPTH + 1)), SyntaxError);
    assert.throws(() => readJson(nest(100_000)), SyntaxError);
  });
});
