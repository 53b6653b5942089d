// Is the harness's own load generator for HTTP/2, for machines without h2load: a closed loop over node:http2.
// Must not be faster than it is: where it is the bottleneck, the gateway's core is not busy, and the table shows that.
import { type ClientHttp2Session, connect, type OutgoingHttpHeaders } from 'node:http2';
import type { LoadRequest } from '../contenders/contender.ts';
import { SERVER_NAME } from './certificate.ts';
import { STREAMS_PER_CONNECTION } from './h2load.ts';
import type { LoadResult } from './load.ts';
import type { LocalPlan } from './run-generator.ts';
import { type Tally, tallyFor } from './tally.ts';

const NO_REQUEST: LoadRequest = { path: '/', headers: {} };

/** Opens a session as the plan says. */
export function openSession({ port, certificate }: Pick<LocalPlan, 'port' | 'certificate'>): ClientHttp2Session {
  if (certificate === undefined) return connect(`http://127.0.0.1:${port}`);
  return connect(`https://127.0.0.1:${port}`, { servername: SERVER_NAME, ca: certificate });
}

/** Gives the fields of a request, pseudo-fields first. */
export function buildFields({ path, headers, body }: LoadRequest): OutgoingHttpHeaders {
  return { ':method': body === undefined ? 'GET' : 'POST', ':path': path, ':authority': SERVER_NAME, ...headers };
}

function drive(session: ClientHttp2Session, nextRequest: () => LoadRequest, tally: Tally): void {
  if (session.closed || session.destroyed) return;
  const request = nextRequest();
  const startedAt = performance.now();
  const stream = session.request(buildFields(request), { endStream: request.body === undefined });
  let [status, bytes] = [0, 0];
  stream.on('response', (fields) => {
    status = fields[':status'] ?? 0;
  });
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  stream.on('error', () => {
    status = 0;
  });
  stream.on('close', () => {
    tally.latenciesMs.push(performance.now() - startedAt);
    if (status !== 200 || bytes !== (request.answerLength ?? bytes)) tally.failures += 1;
    drive(session, nextRequest, tally);
  });
  if (request.body !== undefined) stream.end(request.body, 'latin1');
}

/** Runs the load in this process. */
export function generateStreams(plan: LocalPlan): Promise<LoadResult> {
  let next = 0;
  const nextRequest = (): LoadRequest => {
    next = (next + 1) % plan.requests.length;
    return plan.requests[next] ?? NO_REQUEST;
  };
  return tallyFor(plan.seconds, (tally) => {
    const count = Math.max(1, Math.round(plan.connections / STREAMS_PER_CONNECTION));
    const sessions = Array.from({ length: count }, () => {
      const session = openSession(plan);
      session.on('error', () => {
        tally.failures += 1;
      });
      for (let stream = 0; stream < STREAMS_PER_CONNECTION; stream += 1) drive(session, nextRequest, tally);
      return session;
    });
    return () => {
      for (const session of sessions) session.destroy();
    };
  });
}
