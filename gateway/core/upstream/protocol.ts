// What the protocols toward targets have in common.
// Must not speak any of them.
import type { UpstreamProtocol } from '../model.ts';

/** Says whether a protocol runs over TLS. */
export function isSecure(protocol: UpstreamProtocol): boolean {
  return protocol === 'https' || protocol === 'h2';
}

/** Gives the port of a target that names none. */
export function defaultPort(protocol: UpstreamProtocol): number {
  return isSecure(protocol) ? 443 : 80;
}

/** Gives the URL of a target as one of HTTP/1.1: `URL` reads hosts strictly only where it knows the scheme. */
export function toHttpUrl(text: string): string {
  return text.replace(/^h2(c?):/, (_, clear: string) => (clear === '' ? 'https:' : 'http:'));
}

/** Says whether a protocol is HTTP/2. */
export function isHttp2(protocol: UpstreamProtocol): boolean {
  return protocol === 'h2' || protocol === 'h2c';
}
