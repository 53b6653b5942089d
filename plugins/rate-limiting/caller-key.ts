// Says whose budget a request draws on, as a text that no other caller can have.
// Must not read an address from a header: `exchange.client.ip` is what the gateway vouches for.
import { createHash } from 'node:crypto';
import { isIP, SocketAddress } from 'node:net';
import type { Exchange } from 'sallyport/plugin';

/** Gives the key of a request. */
export type CallerKey = (exchange: Exchange) => string;

// Neither can stand in a header value, an id or an address, so no two combinations give the same key.
const PART_SEPARATOR = '\n';
const VALUE_SEPARATOR = '\r';

/** A longer header value is counted by its hash: keys must not cost what a client can send. */
const MAX_VALUE_LENGTH = 128;

const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/;

/**
 * Compiles `by`. Each part starts with a letter of its kind, so that a header can never pass for an address. A consumer's id
 * stands as it is: of its hex digits none is such a letter, and a key at hand needs no putting together and no hashing.
 */
export function buildCallerKey(by: string | readonly string[]): CallerKey {
  const [first, ...others] = [by].flat().map(buildPart);
  if (!first) throw new TypeError('by must name something to count by');
  if (others.length === 0) return first;
  return (exchange) => others.reduce((key, part) => key + PART_SEPARATOR + part(exchange), first(exchange));
}

function buildPart(by: string): CallerKey {
  switch (by) {
    case 'consumer':
      return (exchange) => exchange.consumer?.id ?? keyOfIp(exchange.client.ip);
    case 'credential':
      return (exchange) => (exchange.credential ? `k${exchange.credential.id}` : keyOfIp(exchange.client.ip));
    case 'ip':
      return (exchange) => keyOfIp(exchange.client.ip);
    case 'route':
      return (exchange) => `r${exchange.route.id}`;
    default:
      return buildHeaderPart(by.slice('header:'.length).toLowerCase());
  }
}

function buildHeaderPart(name: string): CallerKey {
  return ({ request, client }) => {
    const first = request.headers.get(name);
    if (first === undefined) return keyOfIp(client.ip);
    // All lines count: else a client could hide behind a second one.
    const value = request.headers.getAll(name).join(VALUE_SEPARATOR);
    return value.length <= MAX_VALUE_LENGTH
      ? `h${value}`
      : `H${createHash('sha256').update(value).digest('base64url')}`;
  };
}

/**
 * Gives the key of an address: IPv4 whole, also when it comes mapped into IPv6; of IPv6 the first 64 bits, for the rest is
 * the subscriber's to choose.
 */
export function keyOfIp(ip: string): string {
  if (!ip.includes(':')) return `i${ip}`;
  const [plain = ''] = ip.split('%', 1);
  if (isIP(plain) !== 6) return `i${ip}`;
  const { address } = new SocketAddress({ address: plain, family: 'ipv6' });
  const mapped = MAPPED.exec(address)?.[1];
  if (mapped !== undefined) return `i${mapped}`;
  const [head = '', tail] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  // What `::` leaves out is zeros; a tail that reaches into the first half ends it.
  const tailGroups = tail ? tail.split(':') : [];
  const tailLength = tailGroups.length + (tail?.includes('.') ? 1 : 0);
  while (tail !== undefined && groups.length + tailLength < 8) groups.push('0');
  return `i${[...groups, ...tailGroups].slice(0, 4).join(':')}::/64`;
}
