// The first moments of a request: read its head, find its route, make its exchange.
// Must not run plugins or answer: what is wrong is handed on as the refusal of the run.

import type { EngineContext, Lease } from '../engine.ts';
import { GatewayError } from '../errors.ts';
import type { Chain } from '../hooks/chain.ts';
import type { ClientCertificate, Exchange } from '../plugin.ts';
import type { IncomingRequest, OutgoingResponse, Recording } from '../ports.ts';
import type { RouteEntry } from '../routing/entry.ts';
import type { MatchRequest } from '../routing/match.ts';
import { readRequestTarget } from '../routing/path.ts';
import { findRoute } from '../routing/router.ts';
import { EMPTY_SNAPSHOT, findRouteChain, findUnroutedChain, type Snapshot } from '../snapshot.ts';
import { findClientRefusal } from '../tls/client-certificate.ts';
import { type ClientFacts, readClient } from './client.ts';
import { ExchangeState, newTally, RequestState } from './exchange.ts';
import { isGrpc } from './grpc.ts';
import { Headers, type RequestHead, readHost, readRequestHead } from './headers.ts';
import { collectBody } from './request-body.ts';
import { Run } from './run.ts';

const NO_API = { id: '', name: '' };

/** Is what is known of a request before its first hook runs. */
export interface RunStart {
  readonly context: EngineContext;
  readonly lease: Lease;
  readonly incoming: IncomingRequest;
  readonly outgoing: OutgoingResponse;
  readonly exchange: ExchangeState;
  readonly chain: Chain;
  readonly client: ClientFacts;
  /** Monotonic milliseconds when the head was read. */
  readonly beganMs: number;
  /** The route; undefined when the answer is an error already. */
  readonly entry: RouteEntry | undefined;
  /** Ends the request with this answer, unless a hook up to stage protect answers (a CORS preflight, say). */
  readonly refusal: GatewayError | undefined;
  /** Undefined for all but a few requests of apis that are recorded. */
  readonly recording: Recording | undefined;
}

interface Received {
  readonly head: RequestHead;
  readonly host: string;
  readonly path: string;
  readonly query: string;
  readonly refusal: GatewayError | undefined;
}

interface Routed {
  readonly entry: RouteEntry | undefined;
  readonly chain: Chain;
  readonly refusal: GatewayError | undefined;
}

/** Makes the run of one request on the snapshot that serves now. Never throws. */
export function openRun(context: EngineContext, incoming: IncomingRequest, outgoing: OutgoingResponse): Run {
  const { ports } = context;
  const beganMs = ports.clock.monotonicMs();
  const lease = context.lease();
  const received = receive(incoming);
  const { entry, chain, refusal: fault } = route(lease.snapshot, incoming, received);
  const refusal = fault ?? (entry && judgeClient(context, lease.snapshot, incoming, { host: received.host, entry }));
  // The client is to open another connection; this one would be as wrong the next time.
  if (refusal?.code === 'MISDIRECTED_REQUEST') outgoing.closeAfter();
  const client = readClient(incoming, received.head, context.isTrusted);
  const exchange = buildExchange({ context, incoming, received, entry, client, refusal });
  const perSecond = entry?.recordPerSecond;
  const recording = perSecond === undefined ? undefined : ports.recorder?.begin(exchange, perSecond);
  return new Run({ context, lease, incoming, outgoing, exchange, chain, client, beganMs, entry, refusal, recording });
}

function receive(incoming: IncomingRequest): Received {
  let head: RequestHead | undefined;
  let host = '';
  try {
    head = readRequestHead(incoming.rawHeaders);
    // Only HTTP/1.0 may leave Host out. RFC 9112 section 3.2.
    if (head.host !== undefined || incoming.httpVersion !== '1.0') host = readHost(head.host);
    if (incoming.method === 'TRACE' || incoming.method === 'CONNECT') {
      throw new GatewayError('METHOD_NOT_ALLOWED', `${incoming.method} is not supported`, { headers: { allow: '' } });
    }
    const { path, query } = readRequestTarget(incoming.target, head.host ?? '');
    return { head, host, path, query: query ?? '', refusal: undefined };
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    // A new one each time: plugins write into the headers of refused requests too.
    return { head: head ?? emptyHead(), host, path: '', query: '', refusal: error };
  }
}

function emptyHead(): RequestHead {
  return {
    headers: new Headers(),
    host: undefined,
    forwardedFor: [],
    forwardedProto: undefined,
    forwardedHost: undefined,
  };
}

function route(snapshot: Snapshot, incoming: IncomingRequest, received: Received): Routed {
  const { host, path, query, head } = received;
  const unrouted = (refusal: GatewayError): Routed => ({
    entry: undefined,
    chain: findUnroutedChain(snapshot),
    refusal,
  });
  if (received.refusal) return unrouted(received.refusal);
  if (snapshot === EMPTY_SNAPSHOT) {
    return unrouted(new GatewayError('NOT_CONFIGURED', 'no configuration has been loaded yet'));
  }
  const request: MatchRequest = { method: incoming.method, host, path, query, headers: head.headers };
  const match = findRoute(snapshot.router, request);
  if (match.entry) return { entry: match.entry, chain: findRouteChain(snapshot, match.entry), refusal: undefined };
  if (match.allowedMethods.size === 0) {
    return unrouted(new GatewayError('ROUTE_NOT_FOUND', 'no api is published at this host and path'));
  }

  const allow = [...match.allowedMethods].sort().join(', ');
  const refusal = new GatewayError('METHOD_NOT_ALLOWED', `expected one of ${allow}`, { headers: { allow } });
  // A preflight asks about another method: the plugins of that method's route may answer it, the upstream never sees it.
  const asked =
    incoming.method === 'OPTIONS' && head.headers.has('origin') && head.headers.get('access-control-request-method');
  const preflight = asked ? findRoute(snapshot.router, { ...request, method: asked }) : undefined;
  if (!preflight?.entry) return unrouted(refusal);
  return { entry: preflight.entry, chain: findRouteChain(snapshot, preflight.entry), refusal };
}

/** Judges by the certificate of the client, where the api wants to know it. */
function judgeClient(
  { ports }: EngineContext,
  { clientPolicies }: Snapshot,
  { tls }: IncomingRequest,
  { host, entry }: { readonly host: string; readonly entry: RouteEntry },
): GatewayError | undefined {
  const policy = entry.clientCertificate;
  if (policy === undefined) return undefined;
  return findClientRefusal({ policy, policies: clientPolicies, tls, host, nowMs: ports.clock.wallMs() });
}

function buildExchange(parts: {
  readonly context: EngineContext;
  readonly incoming: IncomingRequest;
  readonly received: Received;
  readonly entry: RouteEntry | undefined;
  readonly client: ClientFacts;
  readonly refusal: GatewayError | undefined;
}): ExchangeState {
  const { context, incoming, received, entry, client, refusal } = parts;
  const { ports } = context;
  const { body } = incoming;
  return new ExchangeState({
    id: ports.nextId(),
    httpVersion: incoming.httpVersion,
    api: entry ? { id: entry.apiId, name: entry.apiName } : NO_API,
    route: entry ? { id: entry.routeId, name: entry.routeName } : NO_API,
    client: toClient(client, refusal === undefined && entry ? findAccepted(incoming, entry) : undefined),
    request: new RequestState({
      method: incoming.method,
      host: received.host,
      path: received.path,
      query: received.query,
      headers: received.head.headers,
      hasBody: body !== undefined,
      readBody: (maxBytes) => (body ? collectBody(body, maxBytes) : Promise.resolve(new Uint8Array(0))),
    }),
    consumers: ports.consumers,
    tally: newTally(ports.clock.wallMs()),
    isGrpc: isGrpc(incoming),
  });
}

function toClient({ ip, scheme }: ClientFacts, certificate: ClientCertificate | undefined): Exchange['client'] {
  return certificate ? { ip, scheme, certificate } : { ip, scheme };
}

/** Gives the certificate of a client that was not refused; one that nobody judged is nobody's. */
function findAccepted({ tls }: IncomingRequest, { clientCertificate }: RouteEntry): ClientCertificate | undefined {
  const wasJudged = clientCertificate !== undefined && clientCertificate.mode !== 'off';
  return wasJudged ? tls?.peer?.certificate : undefined;
}
