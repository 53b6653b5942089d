// Response heads on their way through: read from the upstream, written to the client.
// Must not decide which response is sent.
import { GatewayError } from '../errors.ts';
import type { MaybePromise } from '../plugin.ts';
import type { OutgoingResponse, UpstreamProtocol } from '../ports.ts';
import { isHttp2 } from '../upstream/protocol.ts';
import { viaOf } from './client.ts';
import type { ResponseState } from './exchange.ts';
import { readResponseHeaders } from './headers.ts';
import { findUpgrade } from './tunnel.ts';

const UPGRADE_REQUIRED = 426;

/** Makes the response that an upstream's head describes. @throws as `readResponseHeaders` */
export function readResponse(
  status: number,
  rawHeaders: readonly string[],
  protocol: UpstreamProtocol,
): { readonly response: ResponseState; readonly length: number | undefined } {
  const { headers, length } = readResponseHeaders(rawHeaders);
  headers.append('Via', viaOf(isHttp2(protocol) ? '2.0' : '1.1'));
  const upgrade = status === UPGRADE_REQUIRED ? findUpgrade(rawHeaders) : undefined;
  return { response: { status, headers, source: 'upstream', body: undefined, upgrade }, length };
}

/**
 * Writes the head of the final response to a client that speaks a version of HTTP.
 * @throws PLUGIN_FAILED when a plugin set a status that ends no exchange
 */
export function writeResponseHead(
  outgoing: OutgoingResponse,
  { status, headers, upgrade }: ResponseState,
  length: number | undefined,
  httpVersion: string,
): void {
  // A client would wait for another head after a 1xx.
  if (!Number.isInteger(status) || status < 200 || status > 999) {
    throw new GatewayError('PLUGIN_FAILED', 'a plugin set a status that no response can have');
  }
  // Only where it can be taken up: HTTP/2 forbids the field, and HTTP/1.0 does not know it.
  const mayOffer = upgrade !== undefined && status === UPGRADE_REQUIRED && httpVersion === '1.1';
  outgoing.writeHead(status, mayOffer ? [...headers.lines, 'Upgrade', upgrade] : headers.lines, length);
}

/** Goes on now, or when what is waited for has settled: a walk without a promise makes none. */
export function then(waiting: MaybePromise<void>, next: () => MaybePromise<void>): MaybePromise<void> {
  return waiting ? waiting.then(next) : next();
}
