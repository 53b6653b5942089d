// Who is counted with whom: the keys of callers.
// Must not count.
import assert from 'node:assert/strict';
import { type ExchangeOptions, fakeConsumers, fakeExchange } from 'sallyport/testing';
import { buildCallerKey, keyOfIp } from './caller-key.ts';

describe('buildCallerKey', () => {
  const key = (by: string | readonly string[], request: ExchangeOptions): string =>
    buildCallerKey(by)(fakeExchange(request));

  it('counts credentials of one consumer apart when told to', () => {
    const credentials = [{ type: 'key-auth', key: 'alice-key' }];
    const alice = fakeConsumers({ username: 'alice', credentials }).identityOf('alice');
    const second = { ...alice, credential: { ...alice.credential, id: 'second' } };

    assert.notEqual(key('credential', { identity: alice }), key('credential', { identity: second }));
    assert.equal(key('consumer', { identity: alice }), key('consumer', { identity: second }));
  });

  it('takes a header whatever its case, and every line of it', () => {
    assert.equal(key('header:X-Tenant', { headers: { 'x-tenant': 'a' } }), 'ha');
    assert.notEqual(
      key('header:x-tenant', { headers: { 'x-tenant': ['a', 'b'] } }),
      key('header:x-tenant', { headers: { 'x-tenant': 'a' } }),
    );
  });

  it('counts by address where the header is missing, and bounds the key of a long one', () => {
    assert.equal(key('header:x-tenant', { clientIp: '192.0.2.9' }), 'i192.0.2.9');
    assert.equal(key('header:x-tenant', { headers: { 'x-tenant': 'x'.repeat(5_000) } }).length, 44);
  });

  it('gives no two combinations one key, whatever a client sends', () => {
    const by = ['header:x-a', 'header:x-b', 'ip'];
    const seen = new Set(
      [
        { 'x-a': 'a', 'x-b': 'b' },
        { 'x-a': 'a b' },
        { 'x-a': ['a', 'b'] },
        { 'x-a': 'a\tb' },
        { 'x-b': 'a', 'x-a': 'b' },
        { 'x-a': ['a', 'hb'], 'x-b': '' },
        { 'x-a': '', 'x-b': ['hb', 'a'] },
        { 'x-a': 'i192.0.2.1' },
        {},
      ].map((headers) => key(by, { headers: headers as Record<string, string | string[]> })),
    );

    assert.equal(seen.size, 9);
  });

  const addresses: [string, string][] = [
    ['192.0.2.1', 'i192.0.2.1'],
    ['::ffff:192.0.2.1', 'i192.0.2.1'],
    ['::FFFF:c000:0201', 'i192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', 'i2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::9', 'i2001:db8:1:2::/64'],
    ['2001:db8::1', 'i2001:db8:0:0::/64'],
    ['2001:db8::1:2:3:4:5', 'i2001:db8:0:1::/64'],
    ['fe80::1%eth0', 'ife80:0:0:0::/64'],
    ['::1', 'i0:0:0:0::/64'],
    ['64:ff9b::192.0.2.1', 'i64:ff9b:0:0::/64'],
    ['nonsense', 'inonsense'],
  ];
  for (const [ip, expected] of addresses) {
    it(`counts ${ip} as ${expected.slice(1)}`, () => {
      assert.equal(keyOfIp(ip), expected);
    });
  }
});
