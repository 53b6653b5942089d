// The types that are written from a schema.
// Must not run a compiler: `plugin test` does.
import assert from 'node:assert/strict';
import { writeConfigTypes } from '../../../cli/plugin/config-types.ts';
import type { JsonSchema } from '../../../gateway/core/schemas.ts';

/** Gives the type of one property. */
function typeOf(schema: JsonSchema, root: JsonSchema = {}): string {
  const text = writeConfigTypes({ ...root, type: 'object', required: ['it'], properties: { it: schema } });
  return /readonly it:\s*([\s\S]*);\n\}\n$/.exec(text)?.[1]?.replace(/\s+/g, ' ') ?? text;
}

describe('writeConfigTypes', () => {
  for (const [schema, expected] of [
    [{ type: 'string' }, 'string'],
    [{ type: 'integer', minimum: 1 }, 'number'],
    [{ type: ['string', 'null'] }, 'string | null'],
    [{ enum: ['a', "b'c", 2, true, null] }, "'a' | 'b\\'c' | 2 | true | null"],
    [{ const: 'x' }, "'x'"],
    [{ type: 'array', items: { type: 'string' } }, 'readonly string[]'],
    [{ type: 'array', items: { enum: ['a', 'b'] } }, "readonly ('a' | 'b')[]"],
    [{ type: 'array', items: { type: 'array', items: { type: 'number' } } }, 'readonly (readonly number[])[]'],
    [{ type: 'array' }, 'readonly unknown[]'],
    [{ oneOf: [{ type: 'string' }, { type: 'number' }, { type: 'string' }] }, 'string | number'],
    [{ type: 'object', additionalProperties: { type: 'string' } }, 'Readonly<Record<string, string>>'],
    [{ type: 'object', additionalProperties: false }, 'Readonly<Record<string, never>>'],
    [{ properties: { a: { type: 'string' } } }, '{ readonly a?: string; }'],
    [{}, 'unknown'],
  ] as const) {
    it(`writes ${expected}`, () => assert.equal(typeOf(schema), expected));
  }

  it('marks as optional what has neither a default nor is required', () => {
    const text = writeConfigTypes({
      type: 'object',
      required: ['a'],
      properties: { a: { type: 'string' }, b: { type: 'string', default: 'x' }, 'c-d': { type: 'string' } },
    });

    assert.match(text, /readonly a: string;\n {2}readonly b: string;\n {2}readonly "c-d"\?: string;/);
  });

  it('follows references inside the schema, and ends where one leads to itself', () => {
    const $defs = { port: { type: 'integer' }, tree: { type: 'array', items: { $ref: '#/$defs/tree' } } };

    assert.equal(typeOf({ $ref: '#/$defs/port' }, { $defs }), 'number');
    assert.match(typeOf({ $ref: '#/$defs/tree' }, { $defs }), /unknown/);
    assert.equal(typeOf({ $ref: 'https://example.com/schema.json' }, { $defs }), 'unknown');
  });

  it('keeps descriptions as comments, and inside of them', () => {
    const text = writeConfigTypes({
      type: 'object',
      properties: { a: { type: 'string', description: 'ends */ import "x"\n here' } },
    });

    assert.ok(text.includes('/** ends *\u200b/ import "x" here */'), text);
  });

  it('writes long unions line by line', () => {
    const values = Array.from({ length: 20 }, (_, index) => `value-${index}`);

    const text = writeConfigTypes({ type: 'object', properties: { a: { enum: values } } });

    assert.match(text, /readonly a\?:\n {4}\| 'value-0'\n {4}\| 'value-1'/);
    assert.ok(!/ $/m.test(text));
  });
});
