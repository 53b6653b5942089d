// Config schemas of packages: what forms can show, and nothing that harms who compiles or runs them.
import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import type { JsonSchema } from '../../../gateway/core/schemas.ts';
import { openPackage } from '../../../gateway/package/package.ts';
import { checkSchemaProfile, MAX_SCHEMA_BYTES } from '../../../gateway/package/schema-profile.ts';
import { type PackageParts, samplePackage, sampleSchema } from '../../support/market/packages.ts';

const withProperty = (property: unknown): JsonSchema => ({ ...sampleSchema(), properties: { greeting: property } });

describe('checkSchemaProfile', () => {
  const good: Readonly<Record<string, JsonSchema>> = {
    'a usual one': sampleSchema(),
    'a list of objects': withProperty({
      type: 'array',
      items: { type: 'object', additionalProperties: false, properties: { name: { type: 'string' } } },
    }),
    'a reference to a definition': {
      ...withProperty({ $ref: '#/$defs/word' }),
      $defs: { word: { type: 'string', minLength: 1 } },
    },
    'data that looks like a keyword': withProperty({
      default: { $ref: 'https://evil.example' },
      examples: [{ $id: 'x' }],
    }),
    'properties named like keywords': {
      ...sampleSchema(),
      properties: { id: { type: 'string' }, $ref: { type: 'string' }, pattern: { type: 'string' } },
    },
  };
  for (const [what, schema] of Object.entries(good)) {
    it(`passes ${what}`, () => {
      assert.doesNotThrow(() => checkSchemaProfile(schema));
    });
  }

  const fanOut = Object.fromEntries(
    Array.from({ length: 30 }, (_, index) => [
      `d${index}`,
      { allOf: Array(2).fill({ $ref: `#/$defs/d${index + 1}` }) },
    ]),
  );
  const bad: Readonly<Record<string, readonly [RegExp, JsonSchema]>> = {
    'no object at the root': [/type "object"/, { ...sampleSchema(), type: 'array' }],
    'a root that takes unknown keys': [/additionalProperties/, { ...sampleSchema(), additionalProperties: true }],
    'another dialect': [/\$schema/, { ...sampleSchema(), $schema: 'http://json-schema.org/draft-07/schema#' }],
    'no examples': [/examples/, { ...sampleSchema(), examples: [] }],
    'a reference over the network': [/\$ref/, withProperty({ $ref: 'https://evil.example/schema.json' })],
    'a reference to a file': [/\$ref/, withProperty({ $ref: 'file:///etc/passwd' })],
    'a reference to the root': [/\$ref/, withProperty({ $ref: '#' })],
    'a reference to a property': [/\$ref/, withProperty({ $ref: '#/properties/greeting' })],
    'a reference to nothing': [/leads nowhere/, withProperty({ $ref: '#/$defs/none' })],
    'a reference to what every object has': [
      /leads nowhere/,
      { ...withProperty({ $ref: '#/$defs/constructor' }), $defs: {} },
    ],
    'a reference that is no text': [/\$ref/, withProperty({ $ref: { a: 1 } })],
    'references in a circle': [
      /back to itself/,
      {
        ...withProperty({ $ref: '#/$defs/a' }),
        $defs: { a: { anyOf: [{ $ref: '#/$defs/b' }] }, b: { not: { $ref: '#/$defs/a' } } },
      },
    ],
    'a definition in a circle that nobody uses': [
      /back to itself/,
      { ...sampleSchema(), $defs: { a: { items: { $ref: '#/$defs/a' } } } },
    ],
    'references that fan out': [
      /deeper|subschemas/,
      { ...withProperty({ $ref: '#/$defs/d0' }), $defs: { ...fanOut, d30: {} } },
    ],
    'a schema with a name of its own': [/\$id/, withProperty({ $id: 'https://evil.example/x' })],
    'a dynamic reference': [/\$dynamicRef/, withProperty({ $dynamicRef: '#x' })],
    'an anchor': [/\$anchor/, withProperty({ $anchor: 'x' })],
    'a reference to data': [/\$data/, withProperty({ type: 'number', maximum: { $data: '1/other' } })],
    'data as a keyword': [/\$data/, withProperty({ $data: '1/other' })],
    'a pattern that backtracks for ever': [/linear time/, withProperty({ type: 'string', pattern: '^(?=a)(.*)\\1$' })],
    'a pattern property that backtracks': [
      /linear time/,
      withProperty({ type: 'object', patternProperties: { '(a)\\1': {} } }),
    ],
    'a pattern of names that backtracks': [/linear time/, withProperty({ propertyNames: { pattern: '(a)\\1' } })],
    'six levels': [/deeper than 5/, withProperty({ items: { items: { items: { items: { type: 'string' } } } } })],
    'more subschemas than a form has': [
      /more than 300/,
      {
        ...sampleSchema(),
        properties: Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`p${index}`, {}])),
      },
    ],
    'a property that would change all objects': [
      /__proto__/,
      JSON.parse(JSON.stringify(sampleSchema()).replace('"greeting"', '"__proto__"')) as JsonSchema,
    ],
    'examples without end': [/\/examples/, { ...sampleSchema(), examples: [{ greeting: 'x'.repeat(20_000) }] }],
    'a schema that is none': [/expected a schema/, withProperty('string')],
  };
  for (const [what, [message, schema]] of Object.entries(bad)) {
    it(`refuses ${what}`, () => {
      assert.throws(() => checkSchemaProfile(schema), { name: 'PackageError', code: 'SCHEMA_INVALID', message });
    });
  }
});

describe('openPackage, the config schema', () => {
  const bad: Readonly<Record<string, readonly [RegExp, PackageParts]>> = {
    'is larger than its bound': [/larger than/, { configSchema: { description: 'x'.repeat(MAX_SCHEMA_BYTES) } }],
    'has an example that does not fit': [/\/examples\/0\/greeting/, { configSchema: { examples: [{ greeting: 7 }] } }],
    'has an example with an unknown key': [
      /\/examples\/0\/colour/,
      { configSchema: { examples: [{ colour: 'red' }] } },
    ],
    'has a keyword that nobody knows': [/x-evil|unknown keyword/, { configSchema: { 'x-evil': true } }],
    'has a format that nobody knows': [
      /unknown format/,
      { configSchema: { properties: { greeting: { type: 'string', format: 'hostname' } } } },
    ],
    'is no object': [/expected an object/, { files: { 'config.schema.json': '[]' } }],
    'is no JSON': [/JSON/, { files: { 'config.schema.json': '{' } }],
    'says one thing twice': [/repeats a key/, { files: { 'config.schema.json': '{"type":"object","type":"array"}' } }],
    'is no valid schema': [/must/, { configSchema: { minProperties: -1 } }],
  };
  for (const [what, [message, parts]] of Object.entries(bad)) {
    it(`refuses a package whose schema ${what}`, () => {
      assert.throws(() => openPackage(samplePackage(parts)), { code: 'SCHEMA_INVALID', message });
    });
  }

  it('does not hang on a pattern and an example made for each other', () => {
    const configSchema = {
      properties: { greeting: { type: 'string', pattern: '^(a+)+$' } },
      examples: [{ greeting: `${'a'.repeat(16_000)}!` }],
    };
    const startMs = performance.now();

    assert.throws(() => openPackage(samplePackage({ configSchema })), { code: 'SCHEMA_INVALID' });

    assert.ok(performance.now() - startMs < 5_000);
  });
});
