// A copy of an exchange for a version that must not touch the real one, and what either looks like after a hook.
// Must not hand on anything of the real exchange that can be changed.
import { createHash } from 'node:crypto';
import { GatewayError } from '../errors.ts';
import { ExchangeState, RequestState } from '../exchange/exchange.ts';
import { readFieldName } from '../exchange/field-name.ts';
import { Headers } from '../exchange/headers.ts';
import { isCutOff } from '../hooks/cut-off.ts';
import type { Consumer, Credential, CredentialFinder, Exchange, ExchangeOutcome, Identity } from '../plugin.ts';
import type { BodyMark, Effects, Outcome } from './effects.ts';

/** Says how a hook ended; nothing = well. */
export interface Ending {
  readonly error?: unknown;
  readonly hasExpired?: boolean;
}

/** Longest reason of a failure that is kept. */
const MAX_REASON_LENGTH = 200;

/** Copies an exchange as it is now. What the copy's body is read by is the caller's. */
export function copyExchange(exchange: ExchangeState, readBody: () => Promise<Uint8Array>): ExchangeState {
  const { id, httpVersion, api, route, client, consumers, tally, isGrpc, request, response } = exchange;
  const { method, host, path, query, hasBody } = request;
  const headers = copyHeaders(request.headers);
  const copy = new ExchangeState({
    ...{ id, httpVersion, api, route, client, consumers, isGrpc },
    tally: { ...tally },
    request: new RequestState({ method, host, path, query, headers, hasBody, readBody }),
  });
  copy.request.body = request.body;
  copy.consumer = exchange.consumer;
  copy.credential = exchange.credential;
  copy.response = response && { ...response, headers: copyHeaders(response.headers) };
  return copy;
}

function copyHeaders({ lines }: Headers): Headers {
  const copy = new Headers();
  for (let at = 0; at < lines.length; at += 2) copy.add(readFieldName(lines[at] ?? ''), lines[at + 1] ?? '');
  return copy;
}

/** Reads what a hook left of an exchange. `body`: the request's before the hook, as far as anybody knows it. */
export function readEffects(exchange: ExchangeState, body: Uint8Array | undefined, ending: Ending): Effects {
  const { request, response, answer, consumer, id } = exchange;
  const ended = readEnding(exchange, ending);
  return {
    ...ended,
    status: ended.status ?? answer?.status ?? response?.status,
    id,
    consumer: consumer?.username,
    path: request.path,
    query: request.query,
    requestHeaders: request.headers.entries(),
    responseHeaders: (answer ?? response)?.headers.entries() ?? [],
    // One that was only read is the same object.
    requestBody: request.body === body ? undefined : markBody(request.body),
    responseBody: markBody(answer?.body),
  };
}

function readEnding(
  { answer }: ExchangeState,
  { error, hasExpired }: Ending,
): { readonly outcome: Outcome; readonly code: string | undefined; readonly status: number | undefined } {
  if (hasExpired || isCutOff(error)) return { outcome: 'timed out', code: undefined, status: undefined };
  if (error instanceof GatewayError) return { outcome: 'refused', code: error.code, status: error.status };
  if (error === undefined) return { outcome: answer ? 'answered' : 'went on', code: undefined, status: undefined };
  const reason = error instanceof Error ? error.message : String(error);
  return { outcome: 'failed', code: reason.slice(0, MAX_REASON_LENGTH), status: undefined };
}

/** Marks a body; none stays none. */
export function markBody(body: Uint8Array | undefined): BodyMark | undefined {
  return body && { bytes: body.length, digest: createHash('sha256').update(body).digest('base64url') };
}

/**
 * Is the exchange as a version in the shadow knows it from hook to hook: one object, with its own notes, over a new copy for each
 * hook. So each hook starts from what the installed version's hook starts from.
 */
export class ExchangeCopy implements Exchange {
  readonly state: Map<string, unknown> = new Map();
  #now: ExchangeState;

  constructor(now: ExchangeState) {
    this.#now = now;
  }

  /** Goes on with another copy. */
  renew(now: ExchangeState): void {
    this.#now = now;
  }

  get id(): string {
    return this.#now.id;
  }

  set id(id: string) {
    this.#now.id = id;
  }

  get httpVersion(): string {
    return this.#now.httpVersion;
  }

  get api(): Exchange['api'] {
    return this.#now.api;
  }

  get route(): Exchange['route'] {
    return this.#now.route;
  }

  get client(): Exchange['client'] {
    return this.#now.client;
  }

  get request(): Exchange['request'] {
    return this.#now.request;
  }

  get response(): Exchange['response'] {
    return this.#now.response;
  }

  get consumer(): Consumer | undefined {
    return this.#now.consumer;
  }

  get credential(): Credential | undefined {
    return this.#now.credential;
  }

  get consumers(): CredentialFinder {
    return this.#now.consumers;
  }

  get outcome(): ExchangeOutcome {
    return this.#now.outcome;
  }

  identify(identity: Identity): void {
    this.#now.identify(identity);
  }

  respond(status: number, headers?: Readonly<Record<string, string>>, body?: string | Uint8Array): void {
    this.#now.respond(status, headers, body);
  }
}
