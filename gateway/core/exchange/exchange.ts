// One request and its response in flight, as plugins see it.
// Must not know pipelines, targets or sockets: the engine fills it in.
import { GatewayError } from '../errors.ts';
import type {
  Consumer,
  Credential,
  CredentialFinder,
  Exchange,
  ExchangeOutcome,
  ExchangeRequest,
  ExchangeResponse,
  Identity,
} from '../plugin.ts';
import { readPath, readTarget } from '../routing/path.ts';
import { Headers } from './headers.ts';

/** Largest body that `readBody` collects when the plugin names no bound. */
export const DEFAULT_READ_BODY_BYTES: number = 1024 * 1024;

/** Collects a request body. @throws BODY_TOO_LARGE above maxBytes. */
export type BodyReader = (maxBytes: number) => Promise<Uint8Array>;

/** Is the request side of an exchange. */
export class RequestState implements ExchangeRequest {
  readonly method: string;
  readonly host: string;
  readonly headers: Headers;
  readonly hasBody: boolean;
  /** The body as plugins read or replaced it; undefined = still streaming. */
  body: Uint8Array | undefined;
  readonly #readBody: BodyReader;
  #path: string;
  #query: string;

  constructor(options: {
    readonly method: string;
    readonly host: string;
    readonly path: string;
    readonly query: string;
    readonly headers: Headers;
    readonly hasBody: boolean;
    readonly readBody: BodyReader;
  }) {
    this.method = options.method;
    this.host = options.host;
    this.headers = options.headers;
    this.hasBody = options.hasBody;
    this.#path = options.path;
    this.#query = options.query;
    this.#readBody = options.readBody;
  }

  get path(): string {
    return this.#path;
  }

  // A rewritten path is checked like a sent one: rewriting must not make a dot segment after authorization.
  set path(path: string) {
    this.#path = readPath(path);
  }

  get query(): string {
    return this.#query;
  }

  set query(query: string) {
    this.#query = readTarget(`/?${query}`).query ?? '';
  }

  async readBody(maxBytes: number = DEFAULT_READ_BODY_BYTES): Promise<Uint8Array> {
    this.body ??= this.hasBody ? await this.#readBody(maxBytes) : new Uint8Array(0);
    if (this.body.length > maxBytes) throw new GatewayError('BODY_TOO_LARGE', `more than ${maxBytes} bytes`);
    return this.body;
  }

  setBody(body: Uint8Array): void {
    this.body = body;
  }
}

/** Is the response side of an exchange. */
export interface ResponseState extends ExchangeResponse {
  readonly headers: Headers;
  /** Body made by the gateway or a plugin; undefined = the upstream's, streaming. */
  readonly body: Uint8Array | undefined;
}

/** Is an answer that a plugin or the gateway made. */
export interface OwnAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/** Is what happened so far; the engine counts, plugins read. */
export interface Tally {
  startedAt: number;
  totalMs: number;
  upstreamMs: number | undefined;
  requestBytes: number;
  responseBytes: number;
  target: string | undefined;
  tries: number;
  errorCode: string | undefined;
  isComplete: boolean;
}

/** Is what an exchange is made of. */
export interface ExchangeParts {
  readonly id: string;
  readonly httpVersion: string;
  readonly api: Exchange['api'];
  readonly route: Exchange['route'];
  readonly client: Exchange['client'];
  readonly request: RequestState;
  readonly consumers: CredentialFinder;
  readonly tally: Tally;
}

/** Holds an exchange; `answer` is set when the walk is over because someone answered. */
export class ExchangeState implements Exchange {
  id: string;
  readonly httpVersion: string;
  readonly api: Exchange['api'];
  readonly route: Exchange['route'];
  readonly client: Exchange['client'];
  readonly request: RequestState;
  readonly consumers: CredentialFinder;
  readonly tally: Tally;
  response: ResponseState | undefined;
  consumer: Consumer | undefined;
  credential: Credential | undefined;
  answer: OwnAnswer | undefined;
  #state: Map<string, unknown> | undefined;

  constructor(parts: ExchangeParts) {
    this.id = parts.id;
    this.httpVersion = parts.httpVersion;
    this.api = parts.api;
    this.route = parts.route;
    this.client = parts.client;
    this.request = parts.request;
    this.consumers = parts.consumers;
    this.tally = parts.tally;
  }

  get outcome(): ExchangeOutcome {
    return this.tally;
  }

  get state(): Map<string, unknown> {
    this.#state ??= new Map();
    return this.#state;
  }

  identify(identity: Identity): void {
    this.consumer = identity.consumer;
    this.credential = identity.credential;
  }

  respond(status: number, headers: Readonly<Record<string, string>> = {}, body: string | Uint8Array = ''): void {
    if (!Number.isInteger(status) || status < 200 || status > 599)
      throw new RangeError('expected a status of 200..599');
    const fields = new Headers();
    for (const [name, value] of Object.entries(headers)) fields.set(name, value);
    this.answer = { status, headers: fields, body: typeof body === 'string' ? Buffer.from(body) : body };
  }
}
