// What is said of a plugin's folder that does not load.
// Must not start a gateway: the line is made by the loader.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadPlugins } from '../../gateway/loader.ts';

const MANIFEST = {
  name: 'broken',
  version: '1.0.0',
  title: 'Broken',
  summary: 'Does not load.',
  stage: 'transform',
  hooks: ['onRequest'],
  scopes: ['global'],
  failPolicy: 'closed',
  permissions: {},
  engines: { gateway: '^1.0.0' },
};

describe('loading a plugin folder', () => {
  let dir: string;

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'sallyport-loader-'));
    const folder = join(dir, 'broken');
    await mkdir(folder);
    await writeFile(join(dir, 'package.json'), '{"type":"module"}');
    await writeFile(join(folder, 'manifest.json'), JSON.stringify(MANIFEST));
    await writeFile(join(folder, 'config.schema.json'), '{"type":"object"}');
  });

  afterEach(() => rm(dir, { recursive: true, force: true }));

  for (const [what, handler, expected] of [
    ['does not parse', 'const = 3;', "handler.js, or a file that it imports, does not parse: Unexpected token '='"],
    ['throws while it loads', '\nthrow new Error("no luck");', 'handler.js:2: no luck'],
    ['imports a file that throws', 'import "./table.js";', 'table.js:3: too large'],
    ['imports what another file lacks', 'import { a } from "./none.js";', 'handler.js: Cannot find module'],
    ['throws what is no error', 'throw 3;', 'handler.js: it throws 3'],
    ['exports no plugin', 'export const handler = {};', 'expected its module to export plugin'],
    ['lacks a hook', 'export const plugin = {};', 'expected the hook onRequest of its manifest'],
    ['has a hook too many', 'export const plugin = { onError() {} };', "onError is not in its manifest's hooks"],
  ] as const) {
    it(`names the folder when the code ${what}`, async () => {
      await writeFile(join(dir, 'broken', 'handler.js'), handler);
      await writeFile(join(dir, 'broken', 'table.js'), '\n\nthrow new Error("too large\\nby far");');

      await assert.rejects(loadPlugins([dir]), (error: Error) => {
        assert.equal(error.name, 'PluginError');
        const [head = '', ...rest] = error.message.split(`plugin folder ${join(dir, 'broken')}: `);
        assert.equal(head, '');
        assert.ok(rest.join('').includes(expected), error.message);
        assert.ok(!error.message.includes('\n'), error.message);
        return true;
      });
    });
  }
});
