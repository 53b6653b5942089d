// Opening packages: what belongs in one, and that it is well formed.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { openPackage } from '../../../gateway/package/package.ts';
import { hashPermissions } from '../../../gateway/package/permissions.ts';
import { type PackageParts, sampleFiles, samplePackage } from '../../support/market/packages.ts';

const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');

describe('openPackage', () => {
  it('gives all that is in a package', () => {
    const bytes = samplePackage({ files: { 'CHANGELOG.md': '# 1.2.0\n', LICENSE: 'MIT\n', 'fixtures/b.json': '{}' } });

    const pkg = openPackage(bytes);

    assert.equal(pkg.manifest.name, 'acme/hello');
    assert.equal(pkg.manifest.limits.timeoutMs, 1_000, 'defaults are filled in');
    assert.equal(pkg.configSchema['type'], 'object');
    assert.match(pkg.code, /export const plugin/);
    assert.deepEqual([pkg.readme, pkg.changelog], ['# Hello\n', '# 1.2.0\n']);
    assert.deepEqual(
      pkg.fixtures.map(({ name }) => name),
      ['b', 'greets'],
    );
  });

  it('gives digests that other tools give too', () => {
    const bytes = samplePackage();
    const files = sampleFiles();

    const pkg = openPackage(bytes);

    assert.equal(pkg.sha256, sha256(bytes));
    for (const [name, content] of files) assert.equal(pkg.files[name], sha256(content), name);
    assert.equal(pkg.manifestSha256, pkg.files['manifest.json']);
    assert.equal(pkg.configSchemaSha256, pkg.files['config.schema.json']);
    assert.equal(pkg.permissionsSha256, hashPermissions(pkg.manifest.permissions));
  });

  it('does without what is optional', () => {
    const pkg = openPackage(samplePackage({ files: { 'README.md': undefined, 'fixtures/greets.json': undefined } }));

    assert.deepEqual([pkg.readme, pkg.changelog, pkg.fixtures], [undefined, undefined, []]);
  });

  const bad: Readonly<Record<string, readonly [string, RegExp, PackageParts]>> = {
    'without a manifest': ['CONTENT_INVALID', /manifest\.json is missing/, { files: { 'manifest.json': undefined } }],
    'without a schema': ['CONTENT_INVALID', /is missing/, { files: { 'config.schema.json': undefined } }],
    'without code': ['CONTENT_INVALID', /index\.js is missing/, { files: { 'index.js': undefined } }],
    'with a second file of code': ['CONTENT_INVALID', /not expected/, { files: { 'other.js': '' } }],
    'with a package.json and its scripts': ['CONTENT_INVALID', /not expected/, { files: { 'package.json': '{}' } }],
    'with modules': ['CONTENT_INVALID', /not expected/, { files: { 'node_modules/x/index.js': '' } }],
    'with a native module': ['CONTENT_INVALID', /not expected/, { files: { 'addon.node': '' } }],
    'with fixtures in folders': ['CONTENT_INVALID', /not expected/, { files: { 'fixtures/a/b.json': '{}' } }],
    'with code that is no UTF-8': [
      'CONTENT_INVALID',
      /index\.js/,
      { files: { 'index.js': Uint8Array.of(0xff, 0xfe) } },
    ],
    'with a manifest that is no JSON': ['MANIFEST_INVALID', /JSON/, { files: { 'manifest.json': '{,}' } }],
    'with a manifest that says a thing twice': [
      'MANIFEST_INVALID',
      /repeats a key/,
      { files: { 'manifest.json': '{"name":"acme/hello","name":"acme/other"}' } },
    ],
    'with a manifest that lacks something': ['MANIFEST_INVALID', /stage/, { manifest: { stage: undefined } }],
    'with a manifest that says too much': ['MANIFEST_INVALID', /scripts/, { manifest: { scripts: {} } }],
    'without a namespace': ['MANIFEST_INVALID', /namespace\/name/, { manifest: { name: 'hello' } }],
    'with a name that leads out': ['MANIFEST_INVALID', /name/, { manifest: { name: '../hello' } }],
    'with a version that is a range': ['MANIFEST_INVALID', /version/, { manifest: { version: '^1.0.0' } }],
    'that is none': ['ARCHIVE_INVALID', /gzip/, {}],
  };
  for (const [what, [code, message, parts]] of Object.entries(bad)) {
    it(`refuses a package ${what}`, () => {
      const bytes = what === 'that is none' ? Buffer.from('hello') : samplePackage(parts);

      assert.throws(() => openPackage(bytes), { name: 'PackageError', code, message });
    });
  }
});
