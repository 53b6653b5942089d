// What of a request may be shown to whoever looks into a failure.
// Must not hold anything that a client could call a secret: no query, no value of a header, no body.
import type { Exchange } from '../plugin.ts';
import type { IncidentSample } from './quarantine.ts';

/** Takes the sample of an exchange. */
export function takeSample({ id, request, api, route, consumer }: Exchange): IncidentSample {
  const { method, host, path } = request;
  const headers = request.headers.entries().map(([name]) => name);
  return { exchange: id, method, host, path, api: api.name, route: route.name, consumer: consumer?.username, headers };
}
