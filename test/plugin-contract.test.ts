// Holds every folder of plugins/ to the plugin contract: data and code agree, README and schema agree.
// Must not know any plugin by name, save for the exceptions listed here.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { Manifest } from '../gateway/core/manifest.ts';
import { CONTRACT_VERSION, type Stage } from '../gateway/core/plugin.ts';
import { type JsonSchema, MANIFEST_SCHEMA } from '../gateway/core/schemas.ts';

// Compiled to dist/test: sources are what a reader sees, dist is what runs.
const root = fileURLToPath(new URL('../..', import.meta.url));
const sources = join(root, 'plugins');
const HOOKS = ['onRequest', 'onRequestChunk', 'onUpstreamRequest', 'onResponse', 'onResponseChunk', 'onLog'];
/** Run before the caller is known, so that a binding by consumer could never hold. */
const EARLY_STAGES: readonly Stage[] = ['observe', 'protect', 'authenticate'];
const CLOSED_STAGES: readonly Stage[] = ['authenticate', 'authorize'];
const MAX_HANDLER_LINES = 150;
/** Packages that one plugin may import besides the contract, each with an ADR or a line in DESIGN behind it. */
const EXTRA_IMPORTS: Readonly<Record<string, readonly string[]>> = { jwt: ['jsonwebtoken'] };

const ajv = new Ajv2020({ strict: true, allErrors: true, allowUnionTypes: true, useDefaults: true });
// The gateway's own format: to everyone else an annotation, as JSON Schema has it.
ajv.addFormat('ip-network', true);
const isManifest = ajv.compile<Manifest>(MANIFEST_SCHEMA);

interface Property extends JsonSchema {
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Property>>;
}

function readJsonFile(...path: string[]): unknown {
  return JSON.parse(readFileSync(join(...path), 'utf8'));
}

function propertiesOf(schema: unknown): [string, Property][] {
  return Object.entries((schema as Property).properties ?? {});
}

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => /\.[jt]s$/.test(file));
}

function importsOf(file: string): string[] {
  const code = readFileSync(file, 'utf8');
  const statements = code.matchAll(/^(?:import|export|\})(?:.*\bfrom)?\s+['"]([^'"\n]+)['"]/gm);
  const calls = code.matchAll(/\bimport\(\s*['"]([^'"]+)['"]/g);
  return [...statements, ...calls].map((match) => match[1] ?? '');
}

/** Reads the rows of the README's table under `## Configuration`: property and default as they are written. */
function readConfigTable(readme: string): Map<string, string> {
  const section = readme.split(/^## /m).find((part) => part.startsWith('Configuration')) ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('| `'));
  return new Map(
    rows.map((row) => {
      const cells = row.split(/(?<!\\)\|/).map((cell) => cell.trim());
      return [cells[1]?.replaceAll('`', '') ?? '', cells[3] ?? ''];
    }),
  );
}

function writeDefault(name: string, property: Property, schema: JsonSchema): string {
  if (property.default !== undefined) return `\`${JSON.stringify(property.default)}\``;
  const required = schema['required'];
  return Array.isArray(required) && required.includes(name) ? 'required' : '-';
}

for (const entry of readdirSync(sources, { withFileTypes: true })) {
  if (entry.isDirectory()) describeFolder(entry.name);
}

function describeFolder(name: string): void {
  describe(`plugins/${name}`, () => {
    const folder = join(sources, name);
    const manifest = readJsonFile(folder, 'manifest.json') as Manifest;
    const schema = readJsonFile(folder, 'config.schema.json') as JsonSchema;

    describeManifest(name, manifest);
    describeConfig(schema);
    describeCode(name, folder, manifest);

    it('has a README whose configuration table is the schema', () => {
      const table = readConfigTable(readFileSync(join(folder, 'README.md'), 'utf8'));

      const expected = propertiesOf(schema).map(([property, value]) => [
        property,
        writeDefault(property, value, schema),
      ]);
      assert.deepEqual(Object.fromEntries(table), Object.fromEntries(expected));
    });

    it('says in its README which way it fails', () => {
      assert.match(readFileSync(join(folder, 'README.md'), 'utf8'), /^## Which way it fails$/m);
    });
  });
}

function describeManifest(name: string, manifest: Manifest): void {
  it('has a manifest that fits its schema and names its folder', () => {
    assert.ok(isManifest(structuredClone(manifest)), ajv.errorsText(isManifest.errors));
    assert.equal(manifest.name, name);
  });

  it('runs on this contract', () => {
    const major = (version: string) => version.replace('^', '').split('.')[0];

    assert.equal(major(manifest.engines.gateway), major(CONTRACT_VERSION));
  });

  it('can hold in every scope it allows', () => {
    if (!EARLY_STAGES.includes(manifest.stage) || !manifest.hooks.includes('onRequest')) return;
    const byCaller = manifest.scopes.filter((scope) => scope === 'consumer' || scope === 'group');

    assert.deepEqual(byCaller, [], 'the caller is not known yet in this stage');
  });

  it('fails closed when it decides who may pass', () => {
    if (CLOSED_STAGES.includes(manifest.stage)) assert.equal(manifest.failPolicy, 'closed');
  });
}

function describeConfig(schema: JsonSchema): void {
  it('has a config schema of JSON Schema 2020-12 that refuses unknown keys', () => {
    assert.equal(schema['$schema'], 'https://json-schema.org/draft/2020-12/schema');
    assert.equal(schema['type'], 'object');
    assert.equal(schema['additionalProperties'], false);
    assert.doesNotThrow(() => ajv.compile(schema));
  });

  it('titles and describes every property, and gives each a default or requires it', () => {
    const required = Array.isArray(schema['required']) ? schema['required'] : [];
    for (const [property, value] of propertiesOf(schema)) {
      assert.ok(value['title'] && value['description'], `${property} needs a title and a description`);
      // Without a default, absence itself must mean something, and the description says what.
      const isOptional = value.default !== undefined || /\babsent\b/i.test(String(value['description']));
      assert.ok(isOptional || required.includes(property), `${property} needs a default, or to say what absent means`);
    }
  });

  it('has defaults and examples that fit', () => {
    const validate = ajv.compile(schema);
    const examples = schema['examples'];
    assert.ok(Array.isArray(examples) && examples.length > 0, 'examples at the root of the schema');
    for (const example of examples) {
      assert.ok(validate(structuredClone(example)), ajv.errorsText(validate.errors));
    }
    // A schema may also want one of several properties, and then says so.
    if (!schema['required'] && !schema['not']) assert.ok(validate({}), ajv.errorsText(validate.errors));
  });
}

function describeCode(name: string, folder: string, manifest: Manifest): void {
  it('exports the hooks that its manifest declares, and no other', async () => {
    const path = join(root, 'dist', 'plugins', name, 'handler.js');
    const { plugin } = (await import(path)) as { readonly plugin: Readonly<Record<string, unknown>> };

    const exported = Object.keys(plugin).filter((key) => HOOKS.includes(key));
    assert.deepEqual(exported.toSorted(), manifest.hooks.toSorted());
  });

  it('imports only the contract and Node', () => {
    const allowed = ['sallyport/plugin', ...(EXTRA_IMPORTS[name] ?? [])];
    for (const file of sourceFiles(folder)) {
      const isTest = file.endsWith('.test.ts');
      const outside = importsOf(join(folder, file)).filter(
        (target) =>
          !target.startsWith('node:') &&
          !target.startsWith('./') &&
          !allowed.includes(target) &&
          !(isTest && target === 'sallyport/testing'),
      );
      assert.deepEqual(outside, [], `${file} reaches out of its folder`);
    }
  });

  it('has a handler of a size that one reads at a sitting, and a test', () => {
    const lines = readFileSync(join(folder, 'handler.ts'), 'utf8').split('\n').length;

    assert.ok(lines <= MAX_HANDLER_LINES, `handler.ts has ${lines} lines`);
    assert.ok(existsSync(join(folder, `${name}.test.ts`)), `${name}.test.ts`);
  });
}
