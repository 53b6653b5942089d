// What a guest is told of an exchange: cut to what its plugin may read.
// Must not hold anything live: a view is data.
import type { Clock, Consumer, Exchange, HeaderFields } from '../core/plugin.ts';
import { cutCredential, type Grants, type SideGrants } from './grants.ts';
import type { HeaderLines, View } from './messages.ts';

/** Builds the view for one hook. `hasOutcome`: the hook may want to know how the exchange went. */
export function buildView(grants: Grants, exchange: Exchange, clock: Clock, hasOutcome: boolean): View {
  const { request, response, id, httpVersion, api, route, client } = exchange;
  return {
    id,
    httpVersion,
    api,
    route,
    client,
    request: {
      method: request.method,
      host: request.host,
      headers: listLines(request.headers, grants.request),
      hasBody: request.hasBody,
      ...(grants.request.canReadPath && { path: request.path }),
      ...(grants.request.canReadQuery && { query: request.query }),
    },
    ...(response && {
      response: {
        status: response.status,
        source: response.source,
        headers: listLines(response.headers, grants.response),
      },
    }),
    ...(grants.canFindConsumers &&
      exchange.consumer && { identity: listIdentity(grants, exchange, exchange.consumer) }),
    ...(hasOutcome && { outcome: exchange.outcome }),
    now: [clock.wallMs(), clock.monotonicMs()],
  };
}

function listIdentity(grants: Grants, { credential }: Exchange, consumer: Consumer): NonNullable<View['identity']> {
  return [consumer, credential && cutCredential(grants, credential)];
}

function listLines(headers: HeaderFields, { readHeaders }: SideGrants): HeaderLines {
  return headers.entries().filter(([name]) => readHeaders.has(name));
}
