// Which networks an address is in.
// Must not treat one address as two: an IPv4-mapped IPv6 address is that IPv4 address, in a rule and in a request.
import { BlockList, isIP, SocketAddress } from 'node:net';

/** Says whether an address lies in one of the networks. */
export type NetworkTest = (address: string) => boolean;

interface Address {
  readonly text: string;
  readonly family: 'ipv4' | 'ipv6';
}

const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/;

/** Bits of an IPv4-mapped address before the IPv4 address in it. @see RFC 4291 section 2.5.5.2 */
const MAPPED_BITS = 96;

/** Reads an address in any spelling; undefined when it is none. A zone (`%eth0`) names an interface and is dropped. */
export function readAddress(text: string): Address | undefined {
  const [plain = ''] = text.split('%', 1);
  const version = isIP(plain);
  if (version === 4) return { text: plain, family: 'ipv4' };
  if (version !== 6) return undefined;
  const canonical = new SocketAddress({ address: plain, family: 'ipv6' }).address;
  const mapped = MAPPED.exec(canonical)?.[1];
  return mapped === undefined ? { text: canonical, family: 'ipv6' } : { text: mapped, family: 'ipv4' };
}

/** Compiles addresses and networks. @throws TypeError that names the one that is neither. */
export function buildNetworkTest(networks: readonly string[]): NetworkTest {
  // One list per family: in a mixed one a rule for ::/0 would hold for IPv4 too, and nobody means that.
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() };
  for (const network of networks) {
    const [text = '', bits] = network.split('/');
    const address = readAddress(text);
    if (!address) throw new TypeError(`${network} is not an IP address or network`);
    const longest = address.family === 'ipv4' ? 32 : 128;
    const isMapped = address.family === 'ipv4' && text.includes(':');
    const prefix = bits === undefined ? longest : Number(bits) - (isMapped ? MAPPED_BITS : 0);
    if (prefix < 0 || prefix > longest) throw new TypeError(`${network} has no prefix of 0 to ${longest} bits`);
    lists[address.family].addSubnet(address.text, prefix, address.family);
  }
  return (text) => {
    const address = readAddress(text);
    return address !== undefined && lists[address.family].check(address.text, address.family);
  };
}
