// The PROXY protocol: what is read, what is refused, at every length that may arrive first.
import assert from 'node:assert/strict';
import { type ProxyHeader, readProxyHeader } from '../../../gateway/http/proxy-protocol.ts';

const SIGNATURE = '0d0a0d0a000d0a515549540a';
const v2 = (rest: string): Buffer => Buffer.from(SIGNATURE + rest, 'hex');
const V4 = 'c0000201c6336402ea6001bb';
const V6 = `${'20010db8000000000000000000000001'}${'20010db8000000000000000000000002'}ea6001bb`;
const MAPPED = `${'00000000000000000000ffffc0000201'}${'00000000000000000000ffffc6336402'}ea6001bb`;

/** Gives the address, `none` where there is none, or what else came out. */
function show(header: ProxyHeader): string {
  return header.state === 'done' ? (header.address ?? 'none') : header.state;
}

describe('the PROXY protocol', () => {
  const LINES: readonly (readonly [string, string])[] = [
    ['PROXY TCP4 192.0.2.1 198.51.100.2 60000 443\r\n', '192.0.2.1'],
    ['PROXY TCP6 2001:db8::1 2001:db8::2 60000 443\r\n', '2001:db8::1'],
    ['PROXY TCP6 2001:DB8:0:0:0:0:0:1 2001:db8::2 1 0\r\n', '2001:db8::1'],
    ['PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 60000 443\r\n', '192.0.2.1'],
    ['PROXY UNKNOWN\r\n', 'none'],
    ['PROXY UNKNOWN ffff::1 whatever 1 2\r\n', 'none'],
    ['PROXY TCP4 192.0.2.1 198.51.100.2 60000 443\n', 'bad'],
    ['PROXY TCP4 192.0.2.1  198.51.100.2 60000 443\r\n', 'bad'],
    ['PROXY TCP4 192.0.2.01 198.51.100.2 60000 443\r\n', 'bad'],
    ['PROXY TCP4 2001:db8::1 198.51.100.2 60000 443\r\n', 'bad'],
    ['PROXY TCP6 192.0.2.1 198.51.100.2 60000 443\r\n', 'bad'],
    ['PROXY TCP6 fe80::1%eth0 2001:db8::2 60000 443\r\n', 'bad'],
    ['PROXY TCP4 192.0.2.1 198.51.100.2 60000 65536\r\n', 'bad'],
    ['PROXY TCP4 192.0.2.1 198.51.100.2 060000 443\r\n', 'bad'],
    ['PROXY TCP4 192.0.2.1 198.51.100.2 -1 443\r\n', 'bad'],
    ['PROXY TCP4 192.0.2.1 198.51.100.2 60000 443 more\r\n', 'bad'],
    ['PROXY TCP4 192.0.2.1 198.51.100.2 60000\r\n', 'bad'],
    ['PROXY UDP4 192.0.2.1 198.51.100.2 60000 443\r\n', 'bad'],
    ['proxy TCP4 192.0.2.1 198.51.100.2 60000 443\r\n', 'bad'],
    [`PROXY UNKNOWN ${'x'.repeat(91)}\r\n`, 'none'],
    [`PROXY UNKNOWN ${'x'.repeat(92)}\r\n`, 'bad'],
    ['GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'bad'],
    ['\x16\x03\x01', 'bad'],
  ];
  for (const [line, expected] of LINES) {
    it(`reads ${JSON.stringify(line.slice(0, 60))} as ${expected}`, () => {
      assert.equal(show(readProxyHeader(Buffer.from(line, 'latin1'))), expected);
    });
  }

  const HEADERS: readonly (readonly [string, string, string])[] = [
    ['IPv4', `2111000c${V4}`, '192.0.2.1'],
    ['IPv6', `21210024${V6}`, '2001:db8::1'],
    ['IPv4 in an IPv6 coat', `21210024${MAPPED}`, '192.0.2.1'],
    ['extensions behind the addresses', `21110013${V4}04000401020304`, '192.0.2.1'],
    ['LOCAL', '20000000', 'none'],
    ['LOCAL with addresses, which do not count', `2011000c${V4}`, 'none'],
    ['no family', '21000000', 'none'],
    ['no family with extensions', '2100000704000401020304', 'none'],
    ['a Unix socket', `213100d8${'00'.repeat(216)}`, 'none'],
    ['version 1 in the new form', `1111000c${V4}`, 'bad'],
    ['an unknown command', `2211000c${V4}`, 'bad'],
    ['an unknown family', `2141000c${V4}`, 'bad'],
    ['an unknown transport', `2113000c${V4}`, 'bad'],
    ['UDP', `2112000c${V4}`, 'bad'],
    ['addresses cut short', '2111000bc0000201c6336402ea6001', 'bad'],
    ['IPv6 addresses in the length of IPv4', `2121000c${V4}`, 'bad'],
    ['more than any balancer appends', '2111ffff', 'bad'],
  ];
  for (const [what, hex, expected] of HEADERS) {
    it(`reads ${what} as ${expected}`, () => {
      assert.equal(show(readProxyHeader(v2(hex))), expected);
    });
  }

  it('waits for the rest at every length, and leaves what follows', () => {
    const follows = Buffer.from('GET / HTTP/1.1\r\n');
    const wholes = [
      Buffer.from(LINES[0]?.[0] ?? ''),
      v2(`2111000c${V4}`),
      v2(`21110013${V4}04000401020304`),
      v2('20000000'),
    ];

    for (const whole of wholes) {
      for (let length = 0; length < whole.length; length++) {
        assert.equal(readProxyHeader(whole.subarray(0, length)).state, 'more', `${length} bytes`);
      }
      const header = readProxyHeader(Buffer.concat([whole, follows]));
      assert.equal(header.state === 'done' && header.length, whole.length);
    }
  });
});
