// Makes the gateway's own answers: RFC 9457 problem documents, and what gRPC has in their place.
// Must never show upstream text, a stack, a host or a credential.
import { ERRORS, GatewayError } from '../errors.ts';
import type { Logger } from '../plugin.ts';
import type { OutgoingResponse } from '../ports.ts';
import { logUpstreamFailure } from '../upstream/failure-log.ts';
import type { ExchangeState, OwnAnswer } from './exchange.ts';
import { listErrorTrailers, toGrpcError } from './grpc.ts';
import { Headers, isField } from './headers.ts';

/** Seconds after which a client may try again when nothing better is known. */
const RETRY_AFTER_SECONDS = '1';

/** Turns whatever was thrown into a coded error; anything but a GatewayError is a bug, logged once with its cause. */
export function toGatewayError(error: unknown, log: Logger, exchange: ExchangeState): GatewayError {
  if (error instanceof GatewayError) {
    logUpstreamFailure(log, exchange, error);
    return error;
  }
  log.error('unexpected error', { error, exchange: exchange.id });
  return new GatewayError('INTERNAL', 'the gateway failed to handle this request', { cause: error });
}

/** Builds the answer for an error, for a call of gRPC or for any other request. */
export function buildError(error: GatewayError, requestId: string, isGrpc: boolean): OwnAnswer {
  const problem = buildProblem(error, requestId);
  return isGrpc ? toGrpcError(problem, error) : problem;
}

/** Ends a response whose head has gone, so that nobody takes it for whole: gRPC has a status for that behind the body. */
export function breakOff(outgoing: OutgoingResponse, error: GatewayError, isGrpc: boolean): void {
  if (isGrpc) outgoing.end(listErrorTrailers(error));
  else outgoing.abort();
}

/** Builds the answer for an error; `requestId` is empty for what never became a request. @see RFC 9457 section 3 */
export function buildProblem(error: GatewayError, requestId: string): OwnAnswer {
  const spec = ERRORS[error.code];
  const headers = new Headers();
  headers.set('Content-Type', 'application/problem+json');
  // An error is about this one request: a cache must not give it to others.
  headers.set('Cache-Control', 'no-store');
  if (spec.status === 503) headers.set('Retry-After', RETRY_AFTER_SECONDS);
  for (const [name, value] of Object.entries(error.headers ?? {})) {
    // A plugin may have put a client's text into it; the answer to an error must not fail in turn.
    if (isField(name, value)) headers.set(name, value);
  }
  const body = JSON.stringify({
    type: `urn:sallyport:error:${error.code.toLowerCase().replaceAll('_', '-')}`,
    title: spec.title,
    status: spec.status,
    detail: error.message,
    code: error.code,
    ...(requestId === '' ? {} : { requestId }),
  });
  return { status: spec.status, headers, body: Buffer.from(body) };
}
