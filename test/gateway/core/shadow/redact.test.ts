// What may be shown of a request, and of what plugins made of it.
import assert from 'node:assert/strict';
import type { Difference } from '../../../../gateway/core/shadow/effects.ts';
import {
  listSecrets,
  redactDifferences,
  redactLines,
  redactPath,
  redactQuery,
} from '../../../../gateway/core/shadow/redact.ts';

const SECRET = 'sk-live-4f9a77c2e1';

describe('redaction', () => {
  it('keeps names of headers, and values of those alone that hold no secret', () => {
    const lines = [
      ['content-type', 'application/json'],
      ['apikey', SECRET],
      ['authorization', `Bearer ${SECRET}`],
      ['authorization', SECRET],
      ['x-anything', SECRET],
    ] as const;

    assert.deepEqual(redactLines(lines), [
      ['content-type', 'application/json'],
      ['apikey', 'withheld'],
      ['authorization', 'Bearer withheld'],
      ['authorization', 'withheld'],
      ['x-anything', 'withheld'],
    ]);
    assert.deepEqual(listSecrets(lines.slice(0, 2)), [SECRET]);
  });

  it('keeps names in queries, and words in paths', () => {
    assert.equal(redactQuery(`apikey=${SECRET}&flag&a=`), 'apikey=withheld&flag=withheld&a=withheld');
    assert.equal(redactQuery(''), '');
    assert.equal(redactPath(`/reset/${'x'.repeat(40)}/now`), '/reset/withheld/now');
    assert.equal(
      redactPath('/orders/7d9f0c3a-1b2c-4d5e-8f90-a1b2c3d4e5f6'),
      '/orders/7d9f0c3a-1b2c-4d5e-8f90-a1b2c3d4e5f6',
    );
  });

  const shown = (value: string, secrets: readonly string[] = [SECRET]): string | undefined => {
    const difference: Difference = { place: 'response header', name: 'x-hello', kind: 'added', candidate: value };
    return redactDifferences([difference], secrets)[0]?.candidate;
  };

  for (const [what, value] of [
    ['as it is', SECRET],
    ['inside of a text', `key=${SECRET};`],
    ['in part', SECRET.slice(4, 12)],
    ['in capitals', SECRET.toUpperCase()],
    ['backwards', [...SECRET].reverse().join('')],
    ['in base64', Buffer.from(SECRET).toString('base64')],
    ['in base64 behind other bytes', Buffer.from(`a:${SECRET}`).toString('base64url')],
    ['in hexadecimal', Buffer.from(SECRET).toString('hex')],
    ['escaped', SECRET.replaceAll('-', '%2D').replace('l', '%6c')],
  ] as const) {
    it(`withholds a value that repeats a secret ${what}`, () => {
      assert.equal(shown(value), 'withheld');
    });
  }

  it('withholds a short secret, and a name that repeats a secret', () => {
    assert.equal(shown('pin 4711', ['4711']), 'withheld');
    const difference: Difference = { place: 'request header', name: `x-${SECRET}`, kind: 'added', candidate: '1' };
    assert.equal(redactDifferences([difference], [SECRET])[0]?.name, 'withheld');
  });

  it("shows what is the plugin's own", () => {
    assert.equal(shown('1.1.0'), '1.1.0');
    assert.equal(shown('a'.repeat(500))?.length, 200);
  });
});
