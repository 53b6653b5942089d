// An exchange over plain data.
// Must not open a socket; what a plugin did is kept for the test to look at.
import { GatewayError } from '../core/errors.ts';
import type {
  CredentialFinder,
  Exchange,
  ExchangeOutcome,
  ExchangeRequest,
  ExchangeResponse,
  Identity,
} from '../core/plugin.ts';
import { fakeConsumers } from './consumers.ts';
import { fakeHeaders, type HeaderInput } from './headers.ts';

export type { HeaderInput } from './headers.ts';

/** Describes the request; every part has a default (`GET http://api.test/` from 192.0.2.1). */
export interface ExchangeOptions {
  readonly id?: string;
  readonly method?: string;
  readonly host?: string;
  readonly path?: string;
  /** Without `?`. */
  readonly query?: string;
  readonly headers?: HeaderInput;
  readonly body?: string | Uint8Array;
  readonly httpVersion?: string;
  readonly clientIp?: string;
  readonly scheme?: 'http' | 'https';
  readonly api?: Exchange['api'];
  readonly route?: Exchange['route'];
  /** Who called, when authentication is already done. */
  readonly identity?: Identity;
  /** Who may call; default nobody. */
  readonly consumers?: CredentialFinder;
  /** The response, for testing `onResponse` or `onLog` alone. */
  readonly response?: {
    readonly status: number;
    readonly headers?: HeaderInput;
    readonly source?: 'upstream' | 'gateway';
  };
  readonly outcome?: Partial<ExchangeOutcome>;
}

/** Is what a plugin answered with `respond`. */
export interface RecordedAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** Is an exchange with everything the plugin did to it. */
export interface TestExchange extends Exchange {
  response: ExchangeResponse | undefined;
  outcome: ExchangeOutcome;
  /** The last `respond`, if any. */
  answer: RecordedAnswer | undefined;
  /** The request body as it stands: what the upstream gets. */
  body: Uint8Array;
}

const OUTCOME: ExchangeOutcome = {
  startedAt: Date.UTC(2026, 0, 1),
  totalMs: 0,
  upstreamMs: undefined,
  requestBytes: 0,
  responseBytes: 0,
  target: undefined,
  tries: 0,
  errorCode: undefined,
  isComplete: true,
};

/** Bound of `readBody` when the plugin names none. */
const DEFAULT_MAX_BODY_BYTES = 1_048_576;

/** Builds an exchange from plain data. */
export function fakeExchange(options: ExchangeOptions = {}): TestExchange {
  let identity = options.identity;
  const exchange: TestExchange = {
    id: options.id ?? '0123456789abcdef0123456789abcdef',
    httpVersion: options.httpVersion ?? '1.1',
    api: options.api ?? { id: '00000000-0000-4000-8000-00000000a001', name: 'api' },
    route: options.route ?? { id: '00000000-0000-4000-8000-00000000a002', name: 'route' },
    client: { ip: options.clientIp ?? '192.0.2.1', scheme: options.scheme ?? 'http' },
    request: fakeRequest(options, () => exchange),
    response: options.response && fakeResponse(options.response),
    consumers: options.consumers ?? fakeConsumers(),
    outcome: { ...OUTCOME, ...options.outcome },
    state: new Map(),
    answer: undefined,
    body: bytesOf(options.body),
    get consumer() {
      return identity?.consumer;
    },
    get credential() {
      return identity?.credential;
    },
    identify(found) {
      identity = found;
    },
    respond(status, headers = {}, body = '') {
      if (!Number.isInteger(status) || status < 200 || status > 599) throw new TypeError('status must be 200..599');
      exchange.answer = { status, headers, body: bytesOf(body) };
      exchange.response = fakeResponse({ status, headers, source: 'gateway' });
    },
  };
  return exchange;
}

/** Builds the head of a response. */
export function fakeResponse(options: NonNullable<ExchangeOptions['response']>): ExchangeResponse {
  return { status: options.status, headers: fakeHeaders(options.headers), source: options.source ?? 'upstream' };
}

/** Gives text as UTF-8 bytes. */
export function bytesOf(body: string | Uint8Array = ''): Uint8Array {
  return typeof body === 'string' ? Buffer.from(body) : body;
}

function fakeRequest(options: ExchangeOptions, exchangeOf: () => TestExchange): ExchangeRequest {
  return {
    method: options.method ?? 'GET',
    host: options.host ?? 'api.test',
    path: options.path ?? '/',
    query: options.query ?? '',
    headers: fakeHeaders(options.headers),
    hasBody: options.body !== undefined,
    async readBody(maxBytes = DEFAULT_MAX_BODY_BYTES) {
      const { body } = exchangeOf();
      if (body.byteLength > maxBytes) throw new GatewayError('BODY_TOO_LARGE', `the limit is ${maxBytes} bytes`);
      return body;
    },
    setBody(body) {
      exchangeOf().body = body;
    },
  };
}
