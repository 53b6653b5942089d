// The fields of heads that cross a stream: a request's as node:http2 takes them, a response's as it gives them.
// Must not know what they mean to a request.
import type { OutgoingHttpHeaders } from 'node:http2';
import type { UpstreamProtocol, UpstreamRequest } from '../../../core/ports.ts';
import { addFields, newFields } from '../../h2/fields.ts';

/** Most header lines of a response, as over HTTP/1.1. */
const MAX_LINES = 500;

/** Says whether a head or trailers have more lines than a response may have. */
export function hasTooMany(raw: readonly string[]): boolean {
  return raw.length > MAX_LINES * 2;
}

/** Gives the lines of a response without its status, which stands first. */
export function withoutStatus(raw: readonly string[] = []): readonly string[] {
  return raw[0] === ':status' ? raw.slice(2) : raw;
}

/** Builds the fields of a request, `:authority` in place of Host. */
export function buildFields(
  { method, target, headers }: UpstreamRequest,
  protocol: UpstreamProtocol,
): OutgoingHttpHeaders {
  const fields = newFields();
  fields[':method'] = method;
  fields[':path'] = target;
  fields[':scheme'] = protocol === 'h2' ? 'https' : 'http';
  addFields(fields, headers);
  fields[':authority'] = fields['host'];
  delete fields['host'];
  // We read them: RFC 9110 section 10.1.4; gRPC servers insist on it.
  fields['te'] = 'trailers';
  return fields;
}
