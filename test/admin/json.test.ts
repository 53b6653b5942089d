// The strict reader of JSON bodies.
import assert from 'node:assert/strict';
import { AdminError } from '../../admin/errors.ts';
import { MAX_DEPTH, MAX_MEMBERS, readJson } from '../../admin/middleware/json.ts';

const read = (text: string): Promise<unknown> => readJson(new TextEncoder().encode(text));

describe('strict JSON', () => {
  const good = [
    '{}',
    '[]',
    ' \t\r\n{"a" : [1, -0.5, 1e3, true, false, null, "x"], "": {}} ',
    '"\\u0041\\n\\"\\\\"',
    '"😀"',
    '"\\ud83d\\ude00"',
    '9007199254740991',
    '0e5',
    '[[],[[]],{"a":{}}]',
    '{"toString":1,"hasOwnProperty":2}',
  ];
  for (const text of good) {
    it(`reads ${text} like the engine's own reader`, async () => {
      assert.deepEqual(await read(text), JSON.parse(text));
    });
  }

  const bad: readonly (readonly [string, RegExp])[] = [
    ['', /too early/],
    ['   ', /too early/],
    ['{', /key/],
    ['[1,]', /expected a value/],
    ['[,1]', /expected a value/],
    ['{"a":1,}', /key/],
    ['{"a" 1}', /':'/],
    ['{"a":1 "b":2}', /','/],
    ['[1}', /','/],
    ['{"a":1]', /','/],
    ['[1] 2', /end of the body/],
    ['nul', /expected a value/],
    ['truex', /end of the body/],
    ["'a'", /expected a value/],
    ['01', /end of the body/],
    ['+1', /expected a value/],
    ['.5', /expected a value/],
    ['1.', /end of the body/],
    ['NaN', /expected a value/],
    ['"a', /closing quote/],
    ['"\\"', /closing quote/],
    ['"\\x"', /escape/],
    ['"a\nb"', /control character/],
    ['{"a":1,"a":2}', /twice/],
    ['{"a":1,"\\u0061":2}', /twice/],
    ['{"__proto__":{}}', /not allowed/],
    ['{"\\u005f_proto__":{}}', /not allowed/],
    ['{"x":{"constructor":1}}', /not allowed/],
    ['{"prototype":1}', /not allowed/],
    ['1e999', /out of range/],
    ['-1e999', /out of range/],
    ['1e-999', /out of range/],
    ['9007199254740993', /out of range/],
    ['"\\ud800"', /surrogate/],
    ['{"\\udc00":1}', /surrogate/],
    ['"\\u0000"', /NUL/],
    [`${'['.repeat(MAX_DEPTH + 1)}`, /deeper/],
    ['{"a":'.repeat(100_000), /deeper/],
    [`{${Array.from({ length: MAX_MEMBERS + 1 }, (_, i) => `"${i}":1`).join()}}`, /members/],
  ];
  for (const [text, message] of bad) {
    it(`refuses ${text.slice(0, 32)}`, async () => {
      await assert.rejects(
        read(text),
        (error) => error instanceof AdminError && error.code === 'BODY_MALFORMED' && message.test(error.message),
      );
    });
  }

  it('refuses a byte order mark and bytes that are not UTF-8', async () => {
    await assert.rejects(readJson(Uint8Array.of(0xef, 0xbb, 0xbf, 0x31)), { code: 'BODY_MALFORMED' });
    await assert.rejects(readJson(Uint8Array.of(0x22, 0xff, 0x22)), { code: 'BODY_MALFORMED' });
    await assert.rejects(readJson(Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22)), { code: 'BODY_MALFORMED' });
  });

  it('says where it stopped', async () => {
    await assert.rejects(read('{"apis": [1,\n {"name": nope}]}'), (error) => {
      assert.ok(error instanceof AdminError);
      assert.deepEqual(error.options.problems, [
        { pointer: '/apis/1/name', message: 'line 2, column 11: expected a value' },
      ]);
      return true;
    });
  });

  it('reads random values like the engine does', async () => {
    let seed = 1;
    const next = (bound: number): number => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % bound;
    };
    const make = (depth: number): unknown => {
      const kind = next(depth > 4 ? 4 : 6);
      if (kind === 0) return next(1_000_000) / 7;
      if (kind === 1) return String.fromCharCode(...Array.from({ length: next(8) }, () => 1 + next(0x2000)));
      if (kind === 2) return next(2) === 0;
      if (kind === 3) return null;
      const inner = Array.from({ length: next(5) }, () => make(depth + 1));
      return kind === 4 ? inner : Object.fromEntries(inner.map((value, index) => [`k${index} "\\`, value]));
    };

    for (let round = 0; round < 500; round++) {
      const value = make(0);
      const text = JSON.stringify(value, undefined, next(2));
      assert.deepEqual(await read(text), JSON.parse(text));
    }
  });

  it('lets others run while it reads a large body', async () => {
    const item = { name: 'an-api', paths: ['/a', '/b'], nested: { x: [1, 2, 3], y: 'text' } };
    const text = JSON.stringify(Array.from({ length: 120_000 }, () => item));
    let turns = 0;
    const watch = setInterval(() => {
      turns += 1;
    }, 1);

    await read(text);
    clearInterval(watch);

    assert.ok(text.length > 8_000_000);
    // Read in one go, the body would leave no turn to anyone.
    assert.ok(turns >= 5, `only ${turns} turns`);
  });
});
