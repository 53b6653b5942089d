// What of a request may be shown to whoever looks into a failure.
// Must not hold anything that a client could call a secret: no query, no value of a header, no body.
import type { Exchange } from '../plugin.ts';
import { listSecrets, redactText } from '../shadow/redact.ts';
import type { IncidentSample } from './quarantine.ts';

/** Takes the sample of an exchange. */
export function takeSample({ id, request, api, route, consumer }: Exchange): IncidentSample {
  const { method, host, path } = request;
  const headers = request.headers.entries().map(([name]) => name);
  return { exchange: id, method, host, path, api: api.name, route: route.name, consumer: consumer?.username, headers };
}

/** Gives why a hook failed, unless a plugin put into its error what the client sent: the log of the node alone has that. */
export function takeReason({ request }: Exchange, reason: string): string {
  const secrets = [...listSecrets(request.headers.entries()), request.query];
  return redactText(reason, secrets, 'its error repeats what the client sent: see the log of the node');
}
