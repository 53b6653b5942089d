// Makes TLS connections one after the other: a handshake, one request, the end. Full handshakes, or resumed ones.
// Must not keep a connection: kept-alive requests have a generator of their own.
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { SERVER_NAME } from './certificate.ts';
import type { LoadResult } from './load.ts';
import type { LocalPlan } from './run-generator.ts';
import { buildAnswerReader, buildRequestBytes } from './socket-load.ts';
import { type Tally, tallyFor } from './tally.ts';

interface Client {
  readonly port: number;
  readonly request: Buffer;
  readonly context: SecureContext;
  readonly isResumed: boolean;
  readonly tally: Tally;
  isStopped: boolean;
  readonly sockets: Set<TLSSocket>;
}

/** Makes one connection after the other. The first of a chain of resumed ones is not counted: it earns the ticket. */
function makeChain(client: Client, session: Buffer | undefined): void {
  if (client.isStopped) return;
  const { port, context, request, tally, isResumed } = client;
  const startedAt = performance.now();
  const options = { port, host: '127.0.0.1', servername: SERVER_NAME, secureContext: context };
  const socket = connect({ ...options, ...(session === undefined ? {} : { session }) });
  const reader = buildAnswerReader();
  // Not every resumed connection is given another ticket.
  let ticket = session;
  let isGood = false;
  let wasResumed = false;
  client.sockets.add(socket);
  socket.setNoDelay(true);
  socket.on('session', (given) => {
    ticket = given;
  });
  socket.on('secureConnect', () => {
    wasResumed = socket.isSessionReused();
    socket.write(request);
  });
  socket.on('data', (chunk) => {
    const statuses = reader.read(chunk);
    if (statuses.length > 0) isGood = statuses.length === 1 && statuses[0] === 200;
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    client.sockets.delete(socket);
    const isTheFirst = isResumed && session === undefined;
    if (!isTheFirst) tally.latenciesMs.push(performance.now() - startedAt);
    const hasTicket = ticket !== undefined;
    if (!isGood || (isResumed && !hasTicket) || wasResumed !== (session !== undefined)) tally.failures += 1;
    makeChain(client, isResumed ? ticket : undefined);
  });
}

function generate(plan: LocalPlan, isResumed: boolean): Promise<LoadResult> {
  const context = createSecureContext({ ca: plan.certificate ?? '' });
  const request = buildRequestBytes(plan.requests[0] ?? { path: '/', headers: {} }, { connection: 'close' });
  return tallyFor(plan.seconds, (tally) => {
    const client: Client = {
      port: plan.port,
      request,
      context,
      isResumed,
      tally,
      isStopped: false,
      sockets: new Set(),
    };
    for (let index = 0; index < plan.connections; index += 1) makeChain(client, undefined);
    return () => {
      client.isStopped = true;
      for (const socket of client.sockets) socket.destroy();
    };
  });
}

/** Makes connections with full handshakes, in this process. A resumed one counts as a failure. */
export function makeConnections(plan: LocalPlan): Promise<LoadResult> {
  return generate(plan, false);
}

/** Makes connections that resume the session of the one before, in this process. A full handshake counts as a failure. */
export function resumeConnections(plan: LocalPlan): Promise<LoadResult> {
  return generate(plan, true);
}
