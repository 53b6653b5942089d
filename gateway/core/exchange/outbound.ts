// Writes a request anew for its target: path joined, headers from parsed parts, the body as plugins left it.
// Must not copy anything of the client's framing.
import type { Chain, ChunkStep } from '../hooks/chain.ts';
import { runChunkSteps, type Walk } from '../pipeline.ts';
import type { MaybePromise } from '../plugin.ts';
import type { BodySource, Clock, IncomingRequest } from '../ports.ts';
import type { RouteEntry } from '../routing/entry.ts';
import type { Destination, TargetState } from '../upstream/balancer.ts';
import type { ForwardRequest } from '../upstream/forward.ts';
import { isHttp2 } from '../upstream/protocol.ts';
import { joinUpstreamTarget } from '../upstream/target-path.ts';
import { type ClientFacts, writeClientCertificate, writeOwnHeaders } from './client.ts';
import { type ExchangeState, NO_BYTES, type RequestState } from './exchange.ts';
import { OWN_FIELDS } from './field-name.ts';
import { readGrpcTimeout, writeGrpcTimeout } from './grpc.ts';
import { type Headers, readHost } from './headers.ts';
import { filterTrailers, transformBody } from './request-body.ts';

/** Is what an outgoing request is written from. */
export interface Outbound {
  readonly exchange: ExchangeState;
  readonly incoming: IncomingRequest;
  readonly client: ClientFacts;
  readonly entry: RouteEntry;
  readonly destination: Destination;
  /** Monotonic milliseconds when the head of the request was read. */
  readonly beganMs: number;
  readonly clock: Clock;
}

/** Writes the request for whichever target is chosen. */
export function buildForwardRequest(outbound: Outbound, body: Uint8Array | BodySource | undefined): ForwardRequest {
  const { exchange, entry, destination } = outbound;
  const host = takeOwnFields(exchange.request.headers);
  const deadlineMs = findDeadline(outbound, entry.totalMs);
  // Both sides of a call may be silent for as long as its target allows, which speaks HTTP/2 and is watched for that.
  const isCall = exchange.isGrpc && destination.balancer.targets.every(({ protocol }) => isHttp2(protocol));
  if (isCall) outbound.incoming.body?.allowSilence?.();
  return {
    balancer: destination.balancer,
    method: exchange.request.method,
    target: targetOf(outbound),
    headersFor: (target) => headersFor(outbound, host, target, deadlineMs),
    body,
    upgrade: outbound.incoming.upgrade,
    connectMs: entry.connectMs,
    responseMs: entry.responseMs,
    idleMs: entry.idleMs,
    deadlineMs,
    retries: entry.retries,
  };
}

const MAX_FORWARDS = /^\d{1,10}$/;

/**
 * Takes one from how often OPTIONS may still be passed on; gives false when that is not at all, and the answer is ours. TRACE, the
 * other method with such a bound, is refused. @see RFC 9110 section 7.6.2
 */
export function takeForward({ method, headers }: RequestState): boolean {
  const left = method === 'OPTIONS' ? headers.get('max-forwards') : undefined;
  if (left === undefined || !MAX_FORWARDS.test(left)) return true;
  if (Number(left) === 0) return false;
  headers.set('Max-Forwards', String(Number(left) - 1));
  return true;
}

function targetOf({ exchange, entry, destination, incoming }: Outbound): string {
  const { path, query } = exchange.request;
  const target = joinUpstreamTarget({ entry, path, query, basePath: destination.basePath });
  // A lone `?` is part of the target as sent.
  return query === '' && incoming.target.endsWith('?') ? `${target}?` : target;
}

function headersFor(
  outbound: Outbound,
  host: string | undefined,
  target: TargetState,
  deadlineMs: number | undefined,
): readonly string[] {
  const { exchange, entry, client, incoming, clock } = outbound;
  // HTTP/1.0 may come without Host.
  const lines = ['Host', host ?? ((entry.preserveHost && client.host) || target.authority)];
  exchange.request.headers.writeTo(lines);
  writeOwnHeaders(lines, exchange, client, incoming.localPort);
  // Less what has passed; the target learns of our own bound as well, and need not work for nobody.
  if (exchange.isGrpc && deadlineMs !== undefined) {
    lines.push('grpc-timeout', writeGrpcTimeout(deadlineMs - clock.monotonicMs()));
  }
  const isTold = entry.clientCertificate?.forward === true && exchange.client.certificate !== undefined;
  if (isTold && incoming.tls?.peer) writeClientCertificate(lines, incoming.tls.peer);
  return lines;
}

/** Gives when all must be over: by the route's bound, or by what a call of gRPC says. @throws REQUEST_MALFORMED */
function findDeadline({ exchange, beganMs }: Outbound, totalMs: number): number | undefined {
  let allowedMs = totalMs > 0 ? totalMs : Number.POSITIVE_INFINITY;
  if (exchange.isGrpc) {
    const { headers } = exchange.request;
    const sent = headers.get('grpc-timeout');
    if (sent !== undefined) allowedMs = Math.min(allowedMs, readGrpcTimeout(sent));
    headers.delete('grpc-timeout');
  }
  return allowedMs === Number.POSITIVE_INFINITY ? undefined : beganMs + allowedMs;
}

/** Takes off what the gateway writes itself, and gives the Host if a plugin set one. @throws HOST_INVALID */
function takeOwnFields(headers: Headers): string | undefined {
  if (!headers.hasOwnFields) return undefined;
  const host = headers.get('host');
  if (host !== undefined) readHost(host);
  for (const name of OWN_FIELDS) headers.delete(name);
  return host;
}

/** Gives the body that goes upstream: as plugins read or replaced it, through the chunk hooks that are bound. */
export function buildOutgoingBody(
  walk: Walk,
  chain: Chain,
  source: BodySource | undefined,
): MaybePromise<Uint8Array | BodySource | undefined> {
  const steps = chain.requestChunk;
  const whole = walk.exchange.request.body;
  // Only a chunked body can have trailers.
  const safe = source && source.length === undefined ? filterTrailers(source) : source;
  if (steps.length === 0) return whole ?? safe;
  if (whole) {
    const passed = runChunkSteps(walk, steps, whole, true);
    return passed instanceof Promise ? passed.then((bytes) => bytes ?? NO_BYTES) : (passed ?? NO_BYTES);
  }
  return safe && transformSteps(walk, steps, safe);
}

// Apart, so that bodies which nobody changes pay for no function.
function transformSteps(walk: Walk, steps: readonly ChunkStep[], source: BodySource): BodySource {
  const transform = (chunk: Uint8Array, last: boolean): MaybePromise<Uint8Array | null> =>
    runChunkSteps(walk, steps, chunk, last);
  return transformBody(source, transform, (error) => walk.onError(error));
}
