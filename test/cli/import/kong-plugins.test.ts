// What becomes of Kong's plugins, option by option.
// Must not look into the import: only at what it writes and tells.
import assert from 'node:assert/strict';
import { importFile, importService } from '../../support/import.ts';

type Config = Record<string, unknown>;

const KEY = { keyNames: ['apikey'], in: ['header', 'query'], hideCredentials: false };
const JWT = {
  claimsToVerify: [],
  headerNames: ['authorization'],
  queryNames: ['jwt'],
  cookieNames: [],
  hideCredentials: false,
};
const MINUTE = { limits: [{ requests: 5, windowSeconds: 60 }], by: 'consumer', store: 'local', onStoreFailure: 'open' };
const ID = { headerName: 'Kong-Request-ID', generator: 'uuid#counter', trustIncoming: true, echo: false };
const CORS = {
  origins: ['https://a.example'],
  methods: ['GET'],
  headers: ['*'],
  exposedHeaders: [],
  credentials: false,
  maxAgeSeconds: 5,
};
const CORS_OF_KONG = { origins: ['https://a.example'], methods: ['GET'] };

/** Plugin, configuration of Kong, ours. */
const EXACT: readonly (readonly [string, Config, Config])[] = [
  ['key-auth', {}, KEY],
  [
    'key-auth',
    { key_names: ['k'], key_in_query: false, hide_credentials: true, anonymous: null },
    { keyNames: ['k'], in: ['header'], hideCredentials: true },
  ],
  ['basic-auth', { realm: 'service' }, { hideCredentials: false }],
  ['jwt', {}, JWT],
  [
    'jwt',
    { claims_to_verify: ['exp'], header_names: ['x-token'], uri_param_names: [], cookie_names: ['t'] },
    { ...JWT, claimsToVerify: ['exp'], headerNames: ['x-token'], queryNames: [], cookieNames: ['t'] },
  ],
  ['rate-limiting', { minute: 5, policy: 'local', redis: { host: null }, sync_rate: -1 }, MINUTE],
  [
    'rate-limiting',
    { second: 1, day: 9, limit_by: 'ip', policy: 'cluster', fault_tolerant: false },
    {
      limits: [
        { requests: 1, windowSeconds: 1 },
        { requests: 9, windowSeconds: 86_400 },
      ],
      by: 'ip',
      store: 'postgres',
      onStoreFailure: 'closed',
    },
  ],
  ['rate-limiting', { minute: 5, limit_by: 'header', header_name: 'x-team' }, { ...MINUTE, by: 'header:x-team' }],
  ['rate-limiting', { minute: 5, limit_by: 'service' }, { ...MINUTE, by: 'route' }],
  ['cors', CORS_OF_KONG, CORS],
  [
    'cors',
    { ...CORS_OF_KONG, origins: null, max_age: 60, headers: ['x-a'], exposed_headers: ['x-b'] },
    { ...CORS, origins: ['*'], headers: ['x-a'], exposedHeaders: ['x-b'], maxAgeSeconds: 60 },
  ],
  [
    'ip-restriction',
    { allow: ['10.0.0.0/8'], deny: ['10.1.0.0/16'] },
    { allow: ['10.0.0.0/8'], deny: ['10.1.0.0/16'] },
  ],
  ['ip-restriction', { whitelist: ['10.0.0.1'] }, { allow: ['10.0.0.1'], deny: [] }],
  [
    'request-transformer',
    { remove: { headers: ['a'] }, rename: { querystring: ['b:c'] }, add: { headers: ['d:e:f'], body: [] } },
    { remove: { headers: ['a'] }, rename: { query: { b: 'c' } }, add: { headers: { d: 'e:f' } } },
  ],
  ['correlation-id', {}, ID],
  ['file-log', { path: '/tmp/access.log', reopen: false }, { path: '/tmp/access.log' }],
  ['prometheus', { per_consumer: false, latency_metrics: true }, {}],
];

/** Plugin and configuration that let in others than here, or do what nothing here does. */
const INEXACT: readonly (readonly [string, Config])[] = [
  ['key-auth', { anonymous: 'guest' }],
  ['key-auth', { key_in_body: true }],
  ['key-auth', { key_in_header: false, key_in_query: false }],
  ['key-auth', { key_names: ['a b'] }],
  ['key-auth', { some_new_option: true }],
  ['key-auth', { key_names: ['{vault://env/name}'] }],
  ['jwt', { claims_to_verify: ['exp', 'nbf'] }],
  ['jwt', { key_claim_name: 'kid' }],
  ['jwt', { maximum_expiration: 600 }],
  ['rate-limiting', { month: 100 }],
  ['rate-limiting', { minute: 5, month: 100 }],
  ['rate-limiting', { minute: 5, limit_by: 'path', path: '/a' }],
  ['cors', { ...CORS_OF_KONG, origins: ['.*\\.example'] }],
  ['cors', { origins: ['*'], credentials: true }],
  ['cors', { ...CORS_OF_KONG, preflight_continue: true }],
  ['ip-restriction', { allow: ['not-an-address'] }],
  ['request-transformer', { add: { headers: ['a:$(uri_captures.x)'] } }],
  ['request-transformer', { replace: { uri: '/other' } }],
  ['request-transformer', { replace: { headers: ['Host:internal'] } }],
  ['request-transformer', { remove: { body: ['secret'] } }],
  ['request-transformer', { http_method: 'POST' }],
  ['acl', { allow: ['a'] }],
  ['request-termination', {}],
];

/** Plugin and configuration that only tell, measure or answer otherwise. */
const TOLD: readonly (readonly [string, Config])[] = [
  ['key-auth', { run_on_preflight: false }],
  ['key-auth', { realm: 'mine' }],
  ['rate-limiting', { minute: 5, hide_client_headers: true }],
  ['rate-limiting', { minute: 5, policy: 'redis' }],
  ['ip-restriction', { deny: ['10.0.0.1'], status: 404 }],
  ['correlation-id', { header_name: 'X-Request-ID' }],
  ['file-log', { path: '/tmp/a', custom_fields_by_lua: { a: 'return 1' } }],
  ['prometheus', { per_consumer: true }],
  ['http-log', { http_endpoint: 'http://log' }],
  ['opentelemetry', {}],
];

const serviceOf = (name: string, config: Config): Promise<Awaited<ReturnType<typeof importFile>>> =>
  importService({ plugins: [{ name, config }] });

describe('sallyport import kong, of plugins', function () {
  this.timeout(60_000);

  it('translates what has a counterpart, all in one file', async () => {
    const services = EXACT.map(([name, config], index) => ({
      name: `s${index}`,
      url: `http://s${index}`,
      routes: [{ paths: [`/${index}/`] }],
      plugins: [{ name, config }],
    }));

    const { code, config, told, checked } = await importFile('kong', { _format_version: '3.0', services });

    assert.deepEqual(told, []);
    assert.equal(code, 0);
    assert.equal(checked, '');
    assert.deepEqual(
      config?.bindings?.map((binding) => [binding.plugin, binding.config]),
      EXACT.map(([name, , ours]) => [name, ours]),
    );
  });

  for (const [name, config] of INEXACT) {
    it(`turns the api off for ${name} ${JSON.stringify(config)}`, async () => {
      const imported = await serviceOf(name, config);

      assert.equal(imported.code, 3);
      assert.equal(imported.checked, '');
      assert.equal(imported.config?.apis?.[0]?.['enabled'], false);
      assert.match(imported.told.join('\n'), /^services\[0\]\.plugins\[0\] .*enabled: false/m);
    });
  }

  for (const [name, config] of TOLD) {
    it(`tells of ${name} ${JSON.stringify(config)}, and leaves the api on`, async () => {
      const imported = await serviceOf(name, config);

      assert.equal(imported.code, 3);
      assert.equal(imported.checked, '');
      assert.equal(imported.config?.apis?.[0]?.['enabled'], undefined);
      assert.equal(imported.told.length, 1, imported.told.join('\n'));
    });
  }

  it('cannot count for a service that has several routes', async () => {
    const routes = [{ paths: ['/a/'] }, { paths: ['/b/'] }];
    const plugins = [{ name: 'rate-limiting', config: { minute: 5, limit_by: 'service' } }];

    const { config } = await importService({ routes, plugins });

    assert.equal(config?.apis?.[0]?.['enabled'], false);
  });

  it('takes configurations that several plugins share', async () => {
    const plugins = [{ name: 'rate-limiting', _config: 'few', config: { hour: 9 } }];

    const { config, code } = await importService({ plugins }, {}, { _plugin_configs: { few: { minute: 5 } } });

    assert.equal(code, 0);
    const [binding] = config?.bindings ?? [];
    assert.deepEqual(binding?.config?.['limits'], [
      { requests: 5, windowSeconds: 60 },
      { requests: 9, windowSeconds: 3_600 },
    ]);
  });

  it('keeps a plugin that is off off, and leaves it out with a word when it has no counterpart', async () => {
    const plugins = [
      { name: 'key-auth', enabled: false },
      { name: 'acl', enabled: false },
    ];

    const { config, told } = await importService({ plugins });

    assert.deepEqual(
      config?.bindings?.map(({ plugin, enabled }) => ({ plugin, enabled })),
      [{ plugin: 'key-auth', enabled: false }],
    );
    assert.equal(config?.apis?.[0]?.['enabled'], undefined);
    assert.match(told.join('\n'), /acl was off/);
  });

  it('takes the credentials of a consumer whose own plugin cannot be translated', async () => {
    const consumers = [
      {
        username: 'alice',
        keyauth_credentials: [{ key: 'alice-has-a-key' }],
        plugins: [{ name: 'request-termination' }],
      },
      { username: 'bob', keyauth_credentials: [{ key: 'bob-has-a-key' }] },
    ];

    const { config, told } = await importService({ plugins: [{ name: 'key-auth' }] }, {}, { consumers });

    assert.deepEqual(
      config?.consumers?.map(({ credentials }) => credentials?.length ?? 0),
      [0, 1],
    );
    assert.equal(config?.apis?.[0]?.['enabled'], undefined);
    assert.match(told.join('\n'), /alice written without credentials/);
  });

  it('turns off what a plugin guards in some protocols or on a condition alone', async () => {
    const some = await importService({ plugins: [{ name: 'key-auth', protocols: ['https'] }] });
    const condition = await importService({ plugins: [{ name: 'key-auth', condition: 'http.method == "GET"' }] });

    assert.equal(some.config?.apis?.[0]?.['enabled'], false);
    assert.equal(condition.config?.apis?.[0]?.['enabled'], false);
  });
});
