// Facts about settings: what is read, what is refused and how it is said.
// Must not read the environment of the test run.
import assert from 'node:assert/strict';
import { findUnknownSettings, readSettings, SETTINGS } from '../../cli/settings.ts';

describe('settings', () => {
  it('gives the defaults of the design for an empty environment', () => {
    const settings = readSettings({});

    assert.deepEqual(settings.proxyListen, { host: '127.0.0.1', port: 8000 });
    assert.deepEqual(settings.adminListen, { host: '127.0.0.1', port: 8001 });
    assert.deepEqual(settings.statusListen, { host: '127.0.0.1', port: 8002 });
    assert.match(settings.dataDir, /\.sallyport$/);
    assert.equal(settings.databaseUrl, undefined);
    assert.ok(settings.workers >= 1);
    assert.ok(Object.isFrozen(settings));
  });

  it('takes an empty variable for an absent one', () => {
    assert.equal(readSettings({ SALLYPORT_DRAIN_MS: '' }).drainMs, 10_000);
  });

  it('reads every example that it shows', () => {
    for (const spec of Object.values(SETTINGS)) {
      if (!spec.example.startsWith('$(')) assert.doesNotThrow(() => spec.parse(spec.example), spec.name);
    }
  });

  for (const [name, text, expected] of [
    ['SALLYPORT_PROXY_LISTEN', '8000', /expected host:port/],
    ['SALLYPORT_PROXY_LISTEN', '127.0.0.1:70000', /port from 0 to 65535/],
    ['SALLYPORT_ADMIN_LISTEN', '[nonsense]:1', /IPv6/],
    ['SALLYPORT_STATUS_LISTEN', 'http://127.0.0.1:8002', /expected host:port/],
    ['SALLYPORT_WORKERS', '0', /whole number from 1 to 256/],
    ['SALLYPORT_WORKERS', 'two', /"two"/],
    ['SALLYPORT_WORKERS', '1.5', /whole number/],
    ['SALLYPORT_DRAIN_MS', '10s', /whole number/],
    ['SALLYPORT_DRAIN_MS', '-1', /whole number/],
    ['SALLYPORT_LOG_LEVEL', 'loud', /debug, info, warn, error, silent/],
    ['SALLYPORT_TRUSTED_PROXIES', '10.0.0.0/8,10.0.0.0/33', /"10.0.0.0\/33"/],
    ['SALLYPORT_TRUSTED_PROXIES', 'proxy.local', /neither/],
    ['SALLYPORT_SECRET_KEY', 'short', /32 bytes/],
    ['SALLYPORT_ADMIN_TOKEN', 'short', /16 to 512/],
    ['SALLYPORT_ADMIN_HOSTS', 'a b', /host names/],
    ['SALLYPORT_NODE_NAME', '-x', /letters/],
    ['SALLYPORT_REDIS_URL', 'localhost:6379', /redis:\/\//],
    ['SALLYPORT_NATS_URL', 'http://x', /nats:\/\//],
    ['SALLYPORT_ADMIN_URL', 'ftp://x', /http:\/\//],
    ['DATABASE_URL', 'mysql://x', /postgres:\/\//],
  ] as const) {
    it(`refuses ${name}=${text} in one line that names it and shows an example`, () => {
      assert.throws(
        () => readSettings({ [name]: text }),
        (error: Error) => {
          assert.match(error.message, expected);
          assert.ok(error.message.startsWith(`${name}: `));
          assert.ok(error.message.includes(`Example: ${name}=`));
          assert.ok(!error.message.includes('\n'));
          return true;
        },
      );
    });
  }

  it('names every wrong setting at once', () => {
    assert.throws(() => readSettings({ SALLYPORT_WORKERS: 'x', SALLYPORT_DRAIN_MS: 'y' }), {
      message: /^SALLYPORT_WORKERS: .*\nSALLYPORT_DRAIN_MS: .*$/,
    });
  });

  it('never repeats a secret', () => {
    for (const name of ['SALLYPORT_SECRET_KEY', 'SALLYPORT_ADMIN_TOKEN', 'DATABASE_URL', 'SALLYPORT_REDIS_URL']) {
      assert.throws(
        () => readSettings({ [name]: 'hunter2' }),
        (error: Error) => !error.message.includes('hunter2'),
      );
    }
  });

  it('finds variables that are no settings, but not those that Kubernetes sets beside a service', () => {
    const environment = {
      SALLYPORT_WORKERS: '1',
      SALLYPORT_WORKER: '1',
      SALLYPORT_PROXY_UDP_LISTEN: '0.0.0.0:8443',
      SALLYPORT_SERVICE_HOST: '10.0.0.1',
      SALLYPORT_PORT_8000_TCP_ADDR: '10.0.0.1',
      SALLYPORT_PORT: 'tcp://10.0.0.1:8000',
      PATH: '/bin',
    };

    assert.deepEqual(findUnknownSettings(environment), ['SALLYPORT_WORKER', 'SALLYPORT_PROXY_UDP_LISTEN']);
  });

  it('reads IPv6 addresses', () => {
    assert.deepEqual(readSettings({ SALLYPORT_PROXY_LISTEN: '[::1]:0' }).proxyListen, { host: '::1', port: 0 });
  });
});
