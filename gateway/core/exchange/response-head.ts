// Response heads on their way through: read from the upstream, written to the client.
// Must not decide which response is sent.
import { GatewayError } from '../errors.ts';
import type { OutgoingResponse, UpstreamProtocol } from '../ports.ts';
import { isHttp2 } from '../upstream/protocol.ts';
import { viaOf } from './client.ts';
import type { ResponseState } from './exchange.ts';
import { readResponseHeaders } from './headers.ts';
import type { RunStart } from './receive.ts';
import { findUpgrade } from './tunnel.ts';

const UPGRADE_REQUIRED = 426;

/** Is the head of an upstream's response. */
export interface UpstreamHead {
  readonly status: number;
  readonly rawHeaders: readonly string[];
  readonly protocol: UpstreamProtocol;
}

/**
 * Makes the response that a head describes that of the exchange, for which the upstream was asked at `sentMs`, monotonic. Gives
 * the bytes of its body, where they are known. @throws as `readResponseHeaders`
 */
export function takeResponse(
  { exchange, context, recording }: RunStart,
  sentMs: number,
  { status, rawHeaders, protocol }: UpstreamHead,
): number | undefined {
  exchange.tally.upstreamMs = context.ports.clock.monotonicMs() - sentMs;
  const { headers, length } = readResponseHeaders(rawHeaders);
  headers.append('Via', viaOf(isHttp2(protocol) ? '2.0' : '1.1'));
  const upgrade = status === UPGRADE_REQUIRED ? findUpgrade(rawHeaders) : undefined;
  exchange.response = { status, headers, source: 'upstream', body: undefined, upgrade };
  recording?.takeAnswer(status, headers);
  return length;
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
