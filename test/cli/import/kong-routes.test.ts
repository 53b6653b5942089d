// What becomes of Kong's services, routes and upstreams.
// Must not look into the import: only at what it writes and tells.
import assert from 'node:assert/strict';
import { importFile, importService } from '../../support/import.ts';

describe('sallyport import kong, of services and routes', function () {
  this.timeout(20_000);

  it('translates a plain service without a word', async () => {
    const { code, config, told, checked } = await importService({
      url: 'http://orders:8080/v2/',
      connect_timeout: 1_000,
      read_timeout: 3_000,
      write_timeout: 3_000,
      retries: 1,
      tags: ['team'],
    });

    assert.deepEqual(told, []);
    assert.equal(code, 0);
    assert.equal(checked, '');
    assert.deepEqual(config?.apis, [
      {
        name: 's',
        upstream: 'http://orders:8080/v2',
        timeouts: { connectMs: 1_000, responseMs: 3_000, idleMs: 3_000 },
        retries: { attempts: 1 },
        tags: ['team'],
        preserveHost: false,
        routes: [{ name: 'r', paths: ['/r'], stripPath: true }],
      },
    ]);
  });

  for (const [what, service, upstream] of [
    ['a host without a port', { url: undefined, host: 'h', path: '/base/' }, 'http://h:80/base'],
    [
      'TLS with the port 80 that is the default of Kong',
      { url: undefined, protocol: 'https', host: 'h' },
      'https://h:80',
    ],
    ['a URL with TLS', { url: 'https://h' }, 'https://h:443'],
    ['gRPC', { url: undefined, protocol: 'grpc', host: 'h', port: 50 }, 'h2c://h:50'],
    ['an address of IPv6', { url: undefined, host: '::1', port: 81 }, 'http://[::1]:81'],
  ] as const) {
    it(`sends to the same place: ${what}`, async () => {
      const { config, checked } = await importService({ ...service });

      assert.equal(config?.apis?.[0]?.upstream, upstream);
      assert.equal(checked, '');
    });
  }

  for (const [path, strip, expected] of [
    ['/a', true, ['/a']],
    ['~/a/[0-9]+$', false, ['~/a/[0-9]+']],
    ['~/a/(?<id>[0-9]+)', false, ['~/a/(?<id>[0-9]+).*']],
    ['~/a/b\\.json$', true, ['=/a/b.json']],
  ] as const) {
    it(`writes the path ${path} as ${expected}`, async () => {
      const { code, config, checked } = await importService({}, { paths: [path], strip_path: strip });

      assert.deepEqual(config?.apis?.[0]?.routes[0]?.paths, expected);
      assert.equal(code, 0);
      assert.equal(checked, '');
    });
  }

  it('takes a path with brackets as an expression before format 3.0, and as a text from then on', async () => {
    const service = { name: 's', url: 'http://s', routes: [{ paths: ['/a/(x|y)$'], strip_path: false }] };

    const old = await importFile('kong', { _format_version: '2.1', services: [service] });
    const current = await importFile('kong', { _format_version: '3.0', services: [service] });

    assert.deepEqual(old.config?.apis?.[0]?.routes[0]?.paths, ['~/a/(x|y)']);
    assert.deepEqual(current.config?.apis?.[0]?.routes[0]?.paths, ['/a/(x|y)$']);
  });

  for (const [what, route] of [
    ['look-around', { paths: ['~/a(?=b)'], strip_path: false }],
    ['a flag', { paths: ['~/(?i)a'], strip_path: false }],
    ['a class by name', { paths: ['~/[[:alpha:]]+'], strip_path: false }],
    ['an escape of another engine', { paths: ['~/\\Aa'], strip_path: false }],
    ['a possessive repeat', { paths: ['~/a++b'], strip_path: false }],
    ['a back-reference', { paths: ['~/(a)\\1'], strip_path: false }],
    ['alternatives without brackets', { paths: ['~/a|/b'], strip_path: false }],
    ['a host with a port', { hosts: ['a.example:8080'] }],
    ['a wildcard at the end of a host', { hosts: ['example.*'] }],
    ['a server name', { snis: ['a.example'] }],
    ['an expression for a header', { headers: { 'x-a': ['~*v[0-9]'] } }],
    ['a protocol that is no HTTP', { protocols: ['ws'] }],
    ['the language of expressions', { paths: undefined, expression: 'http.path == "/"', priority: 1 }],
    ['a path that is not canonical', { paths: ['/a//b'] }],
  ] as const) {
    it(`leaves out a route with ${what} whole, and turns its api off`, async () => {
      const { code, config, told, checked } = await importService({}, { ...route });

      assert.equal(code, 3);
      assert.equal(told.length, 1, told.join('\n'));
      assert.match(told[0] ?? '', /^services\[0\]\.routes\[0\] \(r\): .*s is written with enabled: false$/);
      assert.equal(config?.apis?.[0]?.['enabled'], false);
      assert.deepEqual(config?.apis?.[0]?.routes, []);
      assert.equal(checked, '');
    });
  }

  for (const [what, service, route] of [
    ['requests in clear are not taken', {}, { protocols: ['https'] }],
    ['what an expression matched is taken off', {}, { paths: ['~/a/[0-9]+$'] }],
    ['a field is unknown', {}, { colour: 'red' }],
    ['a field of the service is unknown', { colour: 'red' }, {}],
    [
      'a client certificate is shown that is not there',
      { url: 'https://s', tls_verify: true, client_certificate: 'c' },
      {},
    ],
    ['it joins paths without a slash', {}, { paths: ['/a/'], path_handling: 'v1' }],
  ] as const) {
    it(`keeps the route and turns the api off when ${what}`, async () => {
      const { code, config, told, checked } = await importService({ ...service }, { ...route });

      assert.equal(code, 3);
      assert.equal(told.length, 1, told.join('\n'));
      assert.equal(config?.apis?.[0]?.['enabled'], false);
      assert.equal(config?.apis?.[0]?.routes.length, 1);
      assert.equal(checked, '');
    });
  }

  it('tells of a route without TLS, and leaves its api on', async () => {
    const { code, config, told } = await importService({}, { protocols: ['http'] });

    assert.equal(code, 3);
    assert.equal(told.length, 1);
    assert.equal(config?.apis?.[0]?.['enabled'], undefined);
  });

  it('turns a service off whose routes differ in preserve_host', async () => {
    const routes = [{ paths: ['/a'] }, { paths: ['/b'], preserve_host: true }];

    const { config, told } = await importService({ routes });

    assert.match(told.join(), /routes\[1\]: preserve_host differs/);
    assert.equal(config?.apis?.[0]?.['enabled'], false);
  });

  it('keeps a service that is off in Kong off without a word', async () => {
    const { code, config } = await importService({ enabled: false });

    assert.equal(code, 0);
    assert.equal(config?.apis?.[0]?.['enabled'], false);
  });

  it('leaves certificates of upstreams unverified only where that was said', async () => {
    const said = await importService({ url: 'https://s', tls_verify: false });
    const silent = await importService({ url: 'https://s' });

    assert.deepEqual(said.config?.upstreams?.[0]?.tls, { verify: false });
    assert.equal(said.code, 0);
    assert.equal(silent.config?.upstreams, undefined);
    assert.match(silent.told.join(), /here it is verified/);
  });

  it('reads routes, targets and plugins that stand apart and name their owners', async () => {
    const id = '6f1f6c2e-0b3f-4f53-8f5e-3c6b8a1d2e4f';
    const { code, config, checked } = await importFile('kong', {
      _format_version: '3.0',
      services: [{ id, name: 's', host: 'group', protocol: 'http' }],
      routes: [{ name: 'r', paths: ['/r'], service: id }],
      plugins: [
        { name: 'key-auth', service: { name: 's' } },
        { name: 'cors', route: 'r', service: null },
      ],
      upstreams: [{ name: 'group' }],
      targets: [
        { target: '10.0.0.1:81', upstream: { name: 'group' }, weight: 5 },
        { target: '10.0.0.2', upstream: 'group' },
      ],
    });

    assert.equal(code, 0);
    assert.equal(checked, '');
    assert.deepEqual(config?.apis?.[0]?.upstream, { name: 'group' });
    assert.deepEqual(config?.upstreams?.[0]?.targets, [
      { host: '10.0.0.1', port: 81, weight: 5 },
      { host: '10.0.0.2', port: 8000, weight: 100 },
    ]);
    assert.deepEqual(
      config?.bindings?.map(({ plugin, scope }) => ({ plugin, scope })),
      [
        { plugin: 'key-auth', scope: { api: 's' } },
        { plugin: 'cors', scope: { api: 's', route: 'r' } },
      ],
    );
  });

  for (const [what, upstream, expected] of [
    ['a hash', { algorithm: 'consistent-hashing', hash_on: 'ip' }, /balances by a hash of ip/],
    ['latency', { algorithm: 'latency' }, /balances by latency/],
    ['a host header', { host_header: 'internal' }, /host_header/],
  ] as const) {
    it(`turns the api off whose upstream has ${what}`, async () => {
      const targets = [{ target: '10.0.0.1:80' }];
      const { config, told, checked } = await importService(
        { url: undefined, host: 'group' },
        {},
        { upstreams: [{ name: 'group', targets, ...upstream }] },
      );

      assert.match(told.join('\n'), expected);
      assert.equal(config?.apis?.[0]?.['enabled'], false);
      assert.equal(checked, '');
    });
  }
});
