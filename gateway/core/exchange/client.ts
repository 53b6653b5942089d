// Who the client is, and the headers by which upstreams learn it.
// Must not believe anything a client says about itself unless the peer is a trusted proxy.
import { BlockList, isIP } from 'node:net';
import type { IncomingRequest, PeerCertificate } from '../ports.ts';
import type { ExchangeState } from './exchange.ts';
import type { RequestHead } from './headers.ts';

/** Says which peers may speak for others. */
export type TrustTest = (address: string) => boolean;

/**
 * Compiles a list of trusted addresses and CIDR ranges.
 * @throws TypeError naming the entry that is neither.
 */
export function buildTrustTest(ranges: readonly string[]): TrustTest {
  if (ranges.length === 0) return () => false;
  const list = new BlockList();
  for (const range of ranges) {
    const [, address = '', bits] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(range) ?? [];
    const family = isIP(address);
    const most = family === 4 ? 32 : 128;
    const prefix = bits === undefined ? most : Number(bits);
    if (family === 0 || prefix > most) {
      throw new TypeError(`expected an IP address or CIDR range, got ${range}`);
    }
    list.addSubnet(address, prefix, family === 4 ? 'ipv4' : 'ipv6');
  }
  return (address) => {
    const family = isIP(address);
    // A socket that closed meanwhile has no address, and `check` throws on what is none.
    return family !== 0 && list.check(address, family === 6 ? 'ipv6' : 'ipv4');
  };
}

/** Is the client as the gateway believes it. */
export interface ClientFacts {
  readonly ip: string;
  readonly scheme: 'http' | 'https';
  /** Value for X-Forwarded-For. */
  readonly forwardedFor: string;
  readonly forwardedHost: string;
  /** Host header as sent to us. */
  readonly host: string;
}

/** Takes IPv4 out of its IPv6 coat, so that a dual-stack socket and a plain one see the same client. */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}

/** Reads who the client is: the peer, or what trusted proxies in front of us say, from the right. */
export function readClient(request: IncomingRequest, head: RequestHead, isTrusted: TrustTest): ClientFacts {
  const peer = plainAddress(request.remoteAddress);
  const scheme = request.tls ? 'https' : 'http';
  const host = head.host ?? '';
  if (!isTrusted(peer)) return { ip: peer, scheme, forwardedFor: peer, forwardedHost: host, host };

  const hops = head.forwardedFor.map(plainAddress).filter((hop) => isIP(hop) !== 0);
  let ip = peer;
  for (let at = hops.length - 1; at >= 0 && isTrusted(ip); at--) ip = hops[at] ?? ip;
  const proto = head.forwardedProto?.toLowerCase();
  return {
    ip,
    scheme: proto === 'http' || proto === 'https' ? proto : scheme,
    forwardedFor: [...hops, peer].join(', '),
    forwardedHost: head.forwardedHost ?? host,
    host,
  };
}

/** Gives what Via says of a message that came in a version: HTTP/2 has no minor ones. @see RFC 9110 section 7.6.3 */
export function viaOf(httpVersion: string): string {
  return VIA[httpVersion] ?? `${httpVersion} sallyport`;
}

// Whole, for every message gets one or two.
const VIA: Readonly<Record<string, string>> = { '1.0': '1.0 sallyport', '1.1': '1.1 sallyport', '2.0': '2 sallyport' };

/** Writes the gateway's own request headers: who called, from where, under which id. */
export function writeOwnHeaders(lines: string[], exchange: ExchangeState, client: ClientFacts, port: number): void {
  lines.push(
    'X-Forwarded-For',
    client.forwardedFor,
    'X-Forwarded-Proto',
    client.scheme,
    'X-Forwarded-Host',
    client.forwardedHost,
    'X-Forwarded-Port',
    String(port),
    'X-Real-IP',
    client.ip,
    'X-Request-Id',
    exchange.id,
    'Via',
    viaOf(exchange.httpVersion),
  );
  const { consumer, credential } = exchange;
  if (!consumer) return;
  lines.push('X-Consumer-Id', consumer.id, 'X-Consumer-Username', consumer.username);
  if (consumer.customId !== undefined) lines.push('X-Consumer-Custom-Id', toFieldValue(consumer.customId));
  if (consumer.groups.length > 0) lines.push('X-Consumer-Groups', consumer.groups.join(', '));
  if (credential) lines.push('X-Credential-Id', credential.id);
}

/** Tells the upstream whose certificate was shown. @see RFC 9440 section 2 */
export function writeClientCertificate(lines: string[], { chain, certificate }: PeerCertificate): void {
  const [leaf] = chain;
  if (leaf) lines.push('Client-Cert', `:${leaf.raw.toString('base64')}:`);
  lines.push(
    'X-Client-Cert-Subject',
    toFieldValue(certificate.subject),
    'X-Client-Cert-Fingerprint',
    certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
  );
}

// A custom id may hold any character; on the wire it must be one field value and nothing else.
function toFieldValue(text: string): string {
  return /^[\x21-\x7e]*$/.test(text) ? text : encodeURIComponent(text);
}
