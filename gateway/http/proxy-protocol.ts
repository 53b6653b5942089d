// Reads the line or header by which a load balancer says for whom it connects: the PROXY protocol, versions 1 and 2.
// Must not decide whom to believe, and must not touch a socket.
import { isIPv4, isIPv6 } from 'node:net';

/**
 * Is what the bytes so far say. `done`: the header is `length` bytes long; `address` is undefined where the balancer speaks for
 * itself, or for nobody that has an address.
 */
export type ProxyHeader =
  | { readonly state: 'more' }
  | { readonly state: 'bad' }
  | { readonly state: 'done'; readonly length: number; readonly address: string | undefined };

/** Longest header. Version 1 has at most 107 bytes; of version 2 the rest is what balancers append, which is read over. */
export const MAX_PROXY_HEADER_BYTES = 4_096;
const MAX_LINE_BYTES = 107;

const PREFIX = Buffer.from('PROXY ');
const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const LINE = /^PROXY (?:UNKNOWN(?: .*)?|TCP([46]) (\S+) (\S+) (\d{1,5}) (\d{1,5}))\r\n$/;

const MORE: ProxyHeader = { state: 'more' };
const BAD: ProxyHeader = { state: 'bad' };

/** Reads the header at the start of a connection. @see https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (startsLike(bytes, SIGNATURE)) return bytes.length < 16 ? MORE : readBinary(bytes);
  return startsLike(bytes, PREFIX) ? readLine(bytes) : BAD;
}

/** Says whether the bytes, as far as they go, are those of a mark. */
function startsLike(bytes: Buffer, mark: Buffer): boolean {
  const length = Math.min(bytes.length, mark.length);
  return bytes.compare(mark, 0, length, 0, length) === 0;
}

function readLine(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, MAX_LINE_BYTES).indexOf('\n');
  if (end === -1) return bytes.length < MAX_LINE_BYTES ? MORE : BAD;
  const [line, family, source = '', target = '', ...ports] = LINE.exec(bytes.toString('latin1', 0, end + 1)) ?? [];
  if (line === undefined) return BAD;
  if (family === undefined) return { state: 'done', length: end + 1, address: undefined };
  const isAddress = family === '4' ? isIPv4 : isPlainIPv6;
  const isGood = isAddress(source) && isAddress(target) && ports.every(isPort);
  return isGood ? { state: 'done', length: end + 1, address: normalize(source) } : BAD;
}

function isPlainIPv6(text: string): boolean {
  return isIPv6(text) && !text.includes('%');
}

function isPort(text: string): boolean {
  return String(Number(text)) === text && Number(text) <= 65_535;
}

function readBinary(bytes: Buffer): ProxyHeader {
  const command = bytes[12];
  const kind = bytes[13] ?? 0;
  const size = bytes.readUInt16BE(14);
  const length = 16 + size;
  // Version 2; LOCAL or PROXY.
  if ((command !== 0x20 && command !== 0x21) || length > MAX_PROXY_HEADER_BYTES) return BAD;
  const [family, transport] = [kind >> 4, kind & 0x0f];
  if (family > 3 || transport > 2) return BAD;
  // By UDP nobody has come over this connection.
  if (command === 0x21 && transport === 2) return BAD;
  if (command === 0x21 && size < (ADDRESS_BYTES[family] ?? 0)) return BAD;
  if (bytes.length < length) return MORE;
  const address = command === 0x21 && transport === 1 ? readAddress(bytes, family) : undefined;
  return { state: 'done', length, address };
}

/** Bytes of both addresses and ports: none, IPv4, IPv6, Unix. */
const ADDRESS_BYTES = [0, 12, 36, 216];

function readAddress(bytes: Buffer, family: number): string | undefined {
  if (family === 1) return bytes.subarray(16, 20).join('.');
  if (family !== 2) return undefined;
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(16 + 2 * index).toString(16));
  return normalize(groups.join(':'));
}

/** Gives one spelling to each address; IPv4 in an IPv6 coat is IPv4: rules for it must hold. GHSA-7jmw-8259-q9jx. */
function normalize(address: string): string {
  if (isIPv4(address)) return address;
  const short = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(short) ?? [];
  if (high === undefined || low === undefined) return short;
  const [first, second] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return [first >> 8, first & 0xff, second >> 8, second & 0xff].join('.');
}
