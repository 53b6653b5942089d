// What becomes of an OpenAPI document.
// Must not look into the import: only at what it writes and tells.
import assert from 'node:assert/strict';
import { type Imported, importFile } from '../../support/import.ts';

const SCHEMES = {
  key: { type: 'apiKey', in: 'header', name: 'X-Key' },
  query: { type: 'apiKey', in: 'query', name: 'key' },
  cookie: { type: 'apiKey', in: 'cookie', name: 'sid' },
  basic: { type: 'http', scheme: 'Basic' },
  jwt: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
  opaque: { type: 'http', scheme: 'bearer' },
  oauth: { type: 'oauth2', flows: {} },
  oidc: { type: 'openIdConnect', openIdConnectUrl: 'https://issuer' },
  mutual: { type: 'mutualTLS' },
};

function importPaths(
  paths: Record<string, unknown>,
  rest: Record<string, unknown> = {},
  options: readonly string[] = [],
): Promise<Imported> {
  const document = {
    openapi: '3.0.3',
    info: { title: 'Pet Store', version: '1' },
    servers: [{ url: 'http://pets:8080/v1/' }],
    components: { securitySchemes: SCHEMES },
    paths,
    ...rest,
  };
  return importFile('openapi', document, options);
}

describe('sallyport import openapi', function () {
  this.timeout(60_000);

  it('makes a route of every path, with the methods of its operations', async () => {
    const { code, config, told, checked } = await importPaths({
      '/pets': { get: {}, post: {} },
      '/pets/{id}': { get: {}, parameters: [] },
      '/pets/{id}/photo.{type}': { get: {} },
      '/': { get: {} },
    });

    assert.deepEqual(told, []);
    assert.equal(code, 0);
    assert.equal(checked, '');
    assert.deepEqual(config, {
      apis: [
        {
          name: 'pet-store',
          upstream: 'http://pets:8080/v1',
          routes: [
            { name: 'pets', paths: ['=/pets'], methods: ['GET', 'POST'], stripPath: false },
            { name: 'pets-id', paths: ['~/pets/[^/]+'], methods: ['GET'], stripPath: false },
            { name: 'pets-id-photo.type', paths: ['~/pets/[^/]+/photo\\.[^/]+'], methods: ['GET'], stripPath: false },
            { name: 'root', paths: ['=/'], methods: ['GET'], stripPath: false },
          ],
        },
      ],
    });
  });

  for (const [scheme, plugin, config] of [
    ['key', 'key-auth', { keyNames: ['X-Key'], in: ['header'], hideCredentials: false }],
    ['query', 'key-auth', { keyNames: ['key'], in: ['query'], hideCredentials: false }],
    ['basic', 'basic-auth', { hideCredentials: false }],
    ['jwt', 'jwt', {}],
  ] as const) {
    it(`asks for ${scheme} with ${plugin}, on the api when all operations do`, async () => {
      const imported = await importPaths({ '/a': { get: {} }, '/b': { get: {} } }, { security: [{ [scheme]: [] }] });

      assert.equal(imported.code, 0);
      assert.equal(imported.checked, '');
      assert.deepEqual(imported.config?.bindings, [{ plugin, scope: { api: 'pet-store' }, config }]);
    });
  }

  it('binds to routes where operations differ, also on one path', async () => {
    const { config, code } = await importPaths(
      { '/a': { get: { security: [] }, post: {} }, '/b': { get: { security: [{ key: [], basic: [] }] } } },
      { security: [{ basic: [] }] },
    );

    assert.equal(code, 0);
    assert.deepEqual(
      config?.apis?.[0]?.routes.map(({ name, methods }) => [name, methods]),
      [
        ['a', ['GET']],
        ['a-2', ['POST']],
        ['b', ['GET']],
      ],
    );
    assert.deepEqual(
      config?.bindings?.map(({ plugin, scope }) => [plugin, scope?.route]),
      [
        ['basic-auth', 'a-2'],
        ['key-auth', 'b'],
        ['basic-auth', 'b'],
      ],
    );
  });

  for (const [what, paths, rest] of [
    ['a key in a cookie', { '/a': { get: {} } }, { security: [{ cookie: [] }] }],
    ['a token that is no JWT', { '/a': { get: {} } }, { security: [{ opaque: [] }] }],
    ['OAuth', { '/a': { get: {} } }, { security: [{ oauth: ['read'] }] }],
    ['OpenID Connect', { '/a': { get: {} } }, { security: [{ oidc: [] }] }],
    ['certificates', { '/a': { get: {} } }, { security: [{ mutual: [] }] }],
    ['a scheme that is not there', { '/a': { get: {} } }, { security: [{ none: [] }] }],
    ['one of several', { '/a': { get: {} } }, { security: [{ key: [] }, { basic: [] }] }],
    ['a credential that may be left out', { '/a': { get: {} } }, { security: [{}] }],
    ['two keys', { '/a': { get: {} } }, { security: [{ key: [], query: [] }] }],
    ['one operation that cannot be guarded', { '/a': { get: {} }, '/b': { get: { security: [{ oauth: [] }] } } }, {}],
    ['a path in another file', { '/a': { $ref: 'other.yaml' } }, {}],
    ['a server of its own', { '/a': { get: { servers: [{ url: 'http://other' }] } } }, {}],
    ['braces that do not fit', { '/a/{b': { get: {} } }, {}],
    ['a path that is not canonical', { '/a//b': { get: {} } }, {}],
    ['templates that fit one path', { '/{a}/x': { get: {} }, '/p/{b}': { get: { security: [{ key: [] }] } } }, {}],
  ] as const) {
    it(`turns the api off for ${what}`, async () => {
      const { code, config, told, checked } = await importPaths(paths, rest);

      assert.equal(code, 3);
      assert.equal(checked, '');
      assert.equal(config?.apis?.[0]?.['enabled'], false);
      assert.equal(told.length, 1, told.join('\n'));
      assert.match(told[0] ?? '', /pet-store is written with enabled: false$/);
    });
  }

  it('tells each unknown field once', async () => {
    const operation = { 'x-own': 1, 'x-kong-plugin-key-auth': {} };
    const { code, told, config } = await importPaths({ '/a': { get: operation, post: operation } });

    assert.equal(code, 3);
    assert.equal(told.length, 2, told.join('\n'));
    assert.equal(config?.apis?.[0]?.['enabled'], undefined);
  });

  for (const [what, servers] of [
    ['no server', []],
    ['a server with a user in it', [{ url: 'http://me:secret@pets' }]],
    ['a relative server', [{ url: '/v1' }]],
    ['a server with variables', [{ url: 'https://{region}.example.com' }]],
  ] as const) {
    it(`needs --upstream for ${what}`, async () => {
      const paths = { '/a': { get: {} } };

      const without = await importPaths(paths, { servers });
      const given = await importPaths(paths, { servers }, ['--upstream', 'http://h:1/base/', '--name', 'mine']);

      assert.equal(without.code, 1);
      assert.equal(without.config, undefined);
      assert.equal(without.told.length, 1);
      assert.match(without.told[0] ?? '', /say --upstream URL$/);
      assert.doesNotMatch(without.told[0] ?? '', /secret/);
      assert.equal(given.config?.apis?.[0]?.upstream, 'http://h:1/base');
      assert.equal(given.config?.apis?.[0]?.name, 'mine');
    });
  }

  for (const [what, rest, options, code] of [
    ['Swagger 2', { openapi: undefined, swagger: '2.0' }, [], 1],
    ['a version that is not there', { openapi: '4.0.0' }, [], 1],
    ['a title that makes no name', { info: { title: '???' } }, [], 1],
    ['a name that is none', {}, ['--name', 'a b'], 2],
    ['an upstream that is none', {}, ['--upstream', 'pets'], 2],
    ['an upstream with a user in it', {}, ['--upstream', 'http://me:secret@pets'], 2],
    ['paths that are none', { paths: [] }, [], 1],
  ] as const) {
    it(`refuses ${what} in one line and writes nothing`, async () => {
      const imported = await importPaths({ '/a': { get: {} } }, rest, options);

      assert.equal(imported.code, code);
      assert.equal(imported.config, undefined);
      assert.equal(imported.told.length, 1, imported.told.join('\n'));
    });
  }
});
