// Whom ip-restriction lets in.
import assert from 'node:assert/strict';
import { type RunResult, readConfig, runPlugin, startPlugin } from 'sallyport/testing';
import { type Config, plugin } from './handler.ts';

const folder = new URL('.', import.meta.url);

function call(config: Partial<Config>, clientIp: string): Promise<RunResult> {
  return runPlugin(plugin, { config: readConfig<Config>(folder, config), request: { clientIp } });
}

describe('ip-restriction', () => {
  const allow = ['10.0.0.0/8', '192.0.2.7', '2001:db8::/32', '::ffff:198.51.100.0/120'];
  const deny = ['10.66.0.0/16', '2001:db8:bad::/48'];
  const cases: [string, boolean][] = [
    ['10.0.0.0', true],
    ['10.255.255.255', true],
    ['11.0.0.0', false],
    ['192.0.2.7', true],
    ['192.0.2.8', false],
    ['10.66.1.2', false],
    ['::ffff:10.1.2.3', true],
    ['::FFFF:10.1.2.3', true],
    ['::ffff:0a01:0203', true],
    ['0:0:0:0:0:ffff:10.66.1.2', false],
    ['::10.1.2.3', false],
    ['198.51.100.200', true],
    ['198.51.101.1', false],
    ['2001:db8::1', true],
    ['2001:0DB8:0000::0001', true],
    ['2001:db8:bad:1::1', false],
    ['2001:db9::1', false],
    ['2001:db8::1%eth0', true],
    ['::1', false],
    ['', false],
    ['unix:', false],
    ['10.0.0.1, 1.2.3.4', false],
    ['010.0.0.1', false],
  ];
  for (const [ip, isWelcome] of cases) {
    it(`${isWelcome ? 'lets in' : 'keeps out'} "${ip}"`, async () => {
      const { status, reachedUpstream } = await call({ allow, deny }, ip);

      assert.deepEqual([status, reachedUpstream], isWelcome ? [200, true] : [403, false]);
    });
  }

  it('lets in everybody but the denied when nothing is allowed by name', async () => {
    const statuses = await Promise.all(
      ['192.0.2.1', '10.66.0.1', '::ffff:10.66.0.1', '2001:db8::1', 'nonsense'].map(
        async (ip) => (await call({ deny: ['10.66.0.0/16'] }, ip)).status,
      ),
    );

    assert.deepEqual(statuses, [200, 403, 403, 200, 403]);
  });

  it('keeps IPv4 and IPv6 apart in the widest networks', async () => {
    const statuses = await Promise.all(
      [
        ['0.0.0.0/0', '::1'],
        ['0.0.0.0/0', '::ffff:1.2.3.4'],
        ['::/0', '1.2.3.4'],
        ['::/0', '::1'],
      ].map(async ([network = '', ip = '']) => (await call({ allow: [network] }, ip)).status),
    );

    assert.deepEqual(statuses, [403, 200, 403, 200]);
  });

  it('takes an address with host bits for its network', async () => {
    assert.equal((await call({ allow: ['10.1.2.3/8'] }, '10.200.0.1')).status, 200);
  });

  it('decides the same for an address that comes again, among more than it remembers', async () => {
    const config = readConfig<Config>(folder, { allow, deny });
    const running = await startPlugin(plugin, { config });
    for (let index = 0; index < 10_050; index++) {
      const { status } = await running.send({ request: { clientIp: `10.0.${index >> 8}.${index & 255}` } });
      assert.equal(status, 200);
    }

    assert.equal((await running.send({ request: { clientIp: '10.66.0.1' } })).status, 403);
    assert.equal((await running.send({ request: { clientIp: '10.66.0.1' } })).status, 403);
  });

  it('refuses a mapped network that reaches beyond IPv4', async () => {
    await assert.rejects(call({ allow: ['::ffff:10.0.0.0/64'] }, '192.0.2.1'), /::ffff:10\.0\.0\.0\/64 has no prefix/);
  });

  for (const network of ['1.2.3', '10.0.0.0/33', '10.0.0.0/', '2001:db8::/129', '1.2.3.4.5', 'abc', 'example.com']) {
    it(`refuses the network ${network} where it stands`, () => {
      assert.throws(() => readConfig(folder, { allow: ['10.0.0.1', network] }), /^ConfigError: \/allow\/1: /);
    });
  }

  for (const config of [{}, { allow: [] }, { deny: '10.0.0.1' }, { block: [] }]) {
    it(`refuses the configuration ${JSON.stringify(config)}`, () => {
      assert.throws(() => readConfig(folder, config), { name: 'ConfigError' });
    });
  }
});
