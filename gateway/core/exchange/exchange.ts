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
  MaybePromise,
} from '../plugin.ts';
import { readPath, readTarget } from '../routing/path.ts';
import { toGrpcAnswer } from './grpc.ts';
import { Headers } from './headers.ts';

/** Largest body that `readBody` collects when the plugin names no bound. */
const DEFAULT_READ_BODY_BYTES: number = 1024 * 1024;

const ID = /^[\x21-\x7e]{1,256}$/;
/** Is a body without bytes. */
export const NO_BYTES: Uint8Array = new Uint8Array(0);

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
  /** The body as it came, if somebody has read it. */
  received: Uint8Array | undefined;
  readonly #readBody: BodyReader;
  #reading: Promise<Uint8Array> | undefined;
  #hasLeft = false;
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

  readBody(maxBytes: number = DEFAULT_READ_BODY_BYTES): Promise<Uint8Array> {
    const result = this.#collect(maxBytes).then((body) => {
      if (body.length > maxBytes) throw new GatewayError('BODY_TOO_LARGE', `more than ${maxBytes} bytes`);
      return body;
    });
    // A plugin that does not wait must not bring the process down when the client leaves.
    result.catch(() => undefined);
    return result;
  }

  /** Lets the body go upstream: waits for a read under way, and fails as that read did, for its bytes are gone. */
  release(): MaybePromise<void> {
    this.#hasLeft = true;
    return this.body === undefined ? this.#reading?.then(() => undefined) : undefined;
  }

  #collect(maxBytes: number): Promise<Uint8Array> {
    if (this.body !== undefined) return Promise.resolve(this.body);
    if (!this.hasBody) return Promise.resolve(NO_BYTES);
    if (this.#reading) return this.#reading;
    if (this.#hasLeft) return Promise.reject(new TypeError('the body is on its way upstream already'));
    // Read once: a second reader would take the chunks from the first.
    this.#reading = this.#readBody(maxBytes).then((body) => {
      this.received = body;
      this.body ??= body;
      return this.body;
    });
    return this.#reading;
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
  /** Protocols that an upstream asks to switch to, with status 426. RFC 9110 section 15.5.22. */
  readonly upgrade?: string | undefined;
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

/** Makes that of an exchange that begins, at a wall time in milliseconds. */
export function newTally(startedAt: number): Tally {
  return {
    startedAt,
    totalMs: 0,
    upstreamMs: undefined,
    requestBytes: 0,
    responseBytes: 0,
    target: undefined,
    tries: 0,
    errorCode: undefined,
    isComplete: false,
  };
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
  /** It is a call of gRPC, and errors are told in its way. */
  readonly isGrpc: boolean;
}

/** Holds an exchange; `answer` is set when the walk is over because someone answered. */
export class ExchangeState implements Exchange {
  readonly httpVersion: string;
  readonly api: Exchange['api'];
  readonly route: Exchange['route'];
  readonly client: Exchange['client'];
  readonly request: RequestState;
  readonly consumers: CredentialFinder;
  readonly tally: Tally;
  readonly isGrpc: boolean;
  response: ResponseState | undefined;
  consumer: Consumer | undefined;
  credential: Credential | undefined;
  answer: OwnAnswer | undefined;
  #id: string;
  #state: Map<string, unknown> | undefined;

  constructor(parts: ExchangeParts) {
    this.#id = parts.id;
    this.httpVersion = parts.httpVersion;
    this.api = parts.api;
    this.route = parts.route;
    this.client = parts.client;
    this.request = parts.request;
    this.consumers = parts.consumers;
    this.tally = parts.tally;
    this.isGrpc = parts.isGrpc;
  }

  get id(): string {
    return this.#id;
  }

  // It goes into a header and into every log.
  set id(id: string) {
    if (!ID.test(id)) throw new TypeError('expected an id of 1 to 256 visible ASCII characters');
    this.#id = id;
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

  /** Puts what a response hook answered, if it did, in the place of the response. */
  replaceResponse(): void {
    if (!this.answer) return;
    this.setOwnResponse(this.answer);
    this.answer = undefined;
  }

  /** Makes an answer of a plugin or the gateway the response. */
  setOwnResponse(answer: OwnAnswer): void {
    this.response = { ...(this.isGrpc ? toGrpcAnswer(answer) : answer), source: 'gateway' };
  }

  respond(status: number, headers: Readonly<Record<string, string>> = {}, body: string | Uint8Array = ''): void {
    if (!Number.isInteger(status) || status < 200 || status > 599)
      throw new RangeError('expected a status of 200..599');
    const fields = new Headers();
    for (const [name, value] of Object.entries(headers)) fields.set(name, value);
    this.answer = { status, headers: fields, body: typeof body === 'string' ? Buffer.from(body) : body };
  }
}
