// An exchange over plain data: the core's own, without an engine around it.
// Must not open a socket.
import { ExchangeState, newTally, RequestState, type Tally } from '../core/exchange/exchange.ts';
import { Headers } from '../core/exchange/headers.ts';
import type {
  ClientCertificate,
  CredentialFinder,
  Exchange,
  ExchangeOutcome,
  HeaderFields,
  Identity,
} from '../core/plugin.ts';
import { fakeConsumers } from './consumers.ts';

/** Gives header fields: as a record (a list of values = several lines), or as pairs in order. */
export type HeaderInput =
  | Readonly<Record<string, string | readonly string[]>>
  | readonly (readonly [name: string, value: string])[];

/** Gives a body: whole, or chunk by chunk. Text is sent as UTF-8. */
export type BodyInput = string | Uint8Array | readonly (string | Uint8Array)[];

/** Describes a request; every part has a default (`GET http://api.test/` from 192.0.2.1, nobody known). */
export interface RequestOptions {
  readonly id?: string;
  readonly method?: string;
  readonly host?: string;
  readonly path?: string;
  /** Without `?`. */
  readonly query?: string;
  readonly headers?: HeaderInput;
  readonly body?: BodyInput;
  readonly httpVersion?: string;
  readonly clientIp?: string;
  readonly scheme?: 'http' | 'https';
  /** Certificate of the client, as an api that asks for one accepted it; for `fakeExchange` only. */
  readonly certificate?: ClientCertificate;
  /** Who calls, when authentication is already done. */
  readonly identity?: Identity;
  /** Who may call. */
  readonly consumers?: CredentialFinder;
}

/** Describes an exchange for a hook that is called alone. */
export interface ExchangeOptions extends RequestOptions {
  readonly api?: Exchange['api'];
  readonly route?: Exchange['route'];
  /** The response, for `onResponse` and `onLog`. */
  readonly response?: {
    readonly status: number;
    readonly headers?: HeaderInput;
    readonly source?: 'upstream' | 'gateway';
  };
  readonly outcome?: Partial<ExchangeOutcome>;
}

/** Is an exchange with what the plugin answered. */
export interface TestExchange extends Exchange {
  /** What `respond` was called with, if it was. */
  readonly answer: { readonly status: number; readonly headers: HeaderFields; readonly body: Uint8Array } | undefined;
}

/** The api and route of every fake exchange that names no other. */
export const FAKE_API: Exchange['api'] = { id: '00000000-0000-4000-8000-00000000a001', name: 'api' };
/** See `FAKE_API`. */
export const FAKE_ROUTE: Exchange['route'] = { id: '00000000-0000-4000-8000-00000000a002', name: 'route' };
/** From the block for documentation, RFC 5737. */
export const FAKE_CLIENT_IP = '192.0.2.1';
/** Request id of every fake exchange that names no other. */
export const FAKE_ID = '0123456789abcdef0123456789abcdef';

/** Builds an exchange from plain data, to call one hook with. */
export function fakeExchange(options: ExchangeOptions = {}): TestExchange {
  const { response } = options;
  const exchange = new ExchangeState({
    isGrpc: false,
    id: options.id ?? FAKE_ID,
    httpVersion: options.httpVersion ?? '1.1',
    api: options.api ?? FAKE_API,
    route: options.route ?? FAKE_ROUTE,
    client: {
      ip: options.clientIp ?? FAKE_CLIENT_IP,
      scheme: options.scheme ?? 'http',
      ...(options.certificate && { certificate: options.certificate }),
    },
    request: new RequestState({
      method: options.method ?? 'GET',
      host: options.host ?? 'api.test',
      path: options.path ?? '/',
      query: options.query ?? '',
      headers: buildHeaders(options.headers),
      hasBody: options.body !== undefined,
      readBody: async () => Buffer.concat(chunksOf(options.body)),
    }),
    consumers: options.consumers ?? fakeConsumers(),
    tally: { ...OUTCOME, ...options.outcome },
  });
  if (options.identity) exchange.identify(options.identity);
  if (response) {
    const { status, headers, source = 'upstream' } = response;
    exchange.response = { status, headers: buildHeaders(headers), source, body: undefined };
  }
  return exchange;
}

const OUTCOME: Tally = { ...newTally(Date.UTC(2026, 0, 1)), isComplete: true };

/** Builds header fields. @throws TypeError when a name or value is not legal on the wire. */
export function buildHeaders(input: HeaderInput = {}): Headers {
  const headers = new Headers();
  const pairs: readonly (readonly [string, string | readonly string[]])[] = isPairs(input)
    ? input
    : Object.entries(input);
  for (const [name, values] of pairs) for (const value of [values].flat()) headers.append(name, value);
  return headers;
}

/** Gives a body as chunks of bytes. */
export function chunksOf(body: BodyInput = []): readonly Uint8Array[] {
  const chunks = typeof body === 'string' || body instanceof Uint8Array ? [body] : body;
  return chunks.map((chunk) => (typeof chunk === 'string' ? Buffer.from(chunk) : chunk));
}

function isPairs(input: HeaderInput): input is readonly (readonly [string, string])[] {
  return Array.isArray(input);
}
