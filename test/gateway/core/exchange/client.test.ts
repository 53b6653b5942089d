// Facts about which peers are believed.
import assert from 'node:assert/strict';
import { buildTrustTest } from '../../../../gateway/core/exchange/client.ts';

describe('trust in proxies', () => {
  it('holds for the addresses and networks named, and for no other', () => {
    const isTrusted = buildTrustTest(['10.0.0.0/8', '192.0.2.1', 'fd00::/8']);

    const trusted = ['10.1.2.3', '192.0.2.1', 'fd12::1', '11.0.0.1', '192.0.2.2', 'fe80::1', ''].filter(isTrusted);

    assert.deepEqual(trusted, ['10.1.2.3', '192.0.2.1', 'fd12::1']);
  });

  // Read as a number, an empty prefix is 0: everybody.
  for (const range of ['10.0.0.0/', '10.0.0.0/8/8', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/ 8', 'localhost', '']) {
    it(`refuses ${JSON.stringify(range)}`, () => {
      assert.throws(() => buildTrustTest([range]), /expected an IP address or CIDR range/);
    });
  }
});
