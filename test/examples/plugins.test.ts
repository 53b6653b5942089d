// The example plugins: each passes its fixtures, packs, and says in its README what its schema says.
// Must not run what hostile does when it is told to: that is for the sandbox's tests.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkFixtures } from '../../cli/plugin/check-fixtures.ts';
import { writeConfigTypes } from '../../cli/plugin/config-types.ts';
import { packProject } from '../../cli/plugin/pack.ts';
import { readProject } from '../../cli/plugin/project.ts';
import { type Masking, maskChunk, type Scan, START } from '../../examples/plugins/json-masker/src/scan.ts';
import { hmacSha256, toBase64, toUtf8 } from '../../examples/plugins/webhook-signer/src/hmac.ts';
import { plain, readTable } from '../support/pages/markdown.ts';

const FOLDER = fileURLToPath(new URL('../../../examples/plugins', import.meta.url));
const BUDGET_MS = 5_000;

describe('examples/plugins', () => {
  for (const name of readdirSync(FOLDER)) {
    describe(name, () => {
      const folder = join(FOLDER, name);

      // First: whatever reads a project brings its types up to date.
      it('has the types of its schema', () => {
        const schema = JSON.parse(readFileSync(join(folder, 'config.schema.json'), 'utf8'));

        assert.equal(readFileSync(join(folder, 'src/config.ts'), 'utf8'), writeConfigTypes(schema));
      });

      it('passes its fixtures', async () => {
        const project = await readProject(folder);

        const { ok, details } = await checkFixtures(project, BUDGET_MS);

        assert.ok(ok && project.fixtures.length > 0, details);
      });

      it('can be packed', async () => {
        const packed = await packProject(await readProject(folder));

        assert.equal(packed.package.manifest.name, `examples/${name}`);
      });

      it('has a README whose configuration table is the schema, and that says which way it fails', () => {
        const readme = readFileSync(join(folder, 'README.md'), 'utf8');
        const schema = JSON.parse(readFileSync(join(folder, 'config.schema.json'), 'utf8'));

        const rows = readTable(readme, 'Configuration').map(([property, value]) => [plain(property), plain(value)]);
        const properties = Object.entries(schema.properties as Record<string, { readonly default?: unknown }>);
        assert.deepEqual(
          rows,
          properties.map(([property, value]) => [
            property,
            value.default === undefined ? 'required' : JSON.stringify(value.default),
          ]),
        );
        assert.match(readme, /^## Which way it fails$/m);
      });
    });
  }
});

describe('examples/plugins/json-masker', () => {
  const MASKING: Masking = { fields: new Set(['password', 'card']), mask: Buffer.from('"***"') };

  const mask = (pieces: readonly Uint8Array[]): string => {
    let scan: Scan = START;
    const masked: Uint8Array[] = [];
    for (const piece of pieces) {
      const { bytes, next } = maskChunk(piece, scan, MASKING);
      masked.push(bytes.slice());
      scan = next;
    }
    return Buffer.concat(masked).toString();
  };

  it('masks the same wherever the text is cut', () => {
    const text = `{"a":"pass\\"word\\":","password":"s\\\\","list":[{"p\\u0061ssword":[1,{"x":"]\\""}]},{"card" :\n-1.5e3}],"ü":"€","card":true}`;
    const expected = `{"a":"pass\\"word\\":","password":"***","list":[{"p\\u0061ssword":"***"},{"card" :\n"***"}],"ü":"€","card":"***"}`;
    const bytes = Buffer.from(text);

    assert.equal(mask([bytes]), expected);
    for (let at = 1; at < bytes.length; at++) {
      assert.equal(mask([bytes.subarray(0, at), bytes.subarray(at)]), expected, `cut at ${at}`);
    }
    assert.equal(mask(Array.from(bytes, (byte) => Uint8Array.of(byte))), expected);
  });

  it('grows where masks are longer than what they hide, and holds long names and none back', () => {
    const many = `[${Array.from({ length: 1000 }, () => '{"card":1}').join(',')}]`;
    const long = JSON.stringify({ ['x'.repeat(100_000)]: 1, password: 2 });

    assert.equal(mask([Buffer.from(many)]), many.replaceAll('1', '"***"'));
    assert.equal(mask([Buffer.from(long)]), long.replace(/2}$/, '"***"}'));
  });
});

describe('examples/plugins/webhook-signer', () => {
  it('computes the HMAC that Node computes, for keys and messages of every length around a block', () => {
    for (let length = 0; length < 200; length++) {
      const [key, message] = ['k'.repeat(length), `€😀${'m'.repeat(length)}`] as const;

      const expected = createHmac('sha256', key).update(message).digest('base64');
      assert.equal(toBase64(hmacSha256(toUtf8(key), toUtf8(message))), expected, `length ${length}`);
    }
  });
});
