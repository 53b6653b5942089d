// An exchange behind a plugin's grants: every operation is checked, then done on the real one. The one place that enforces.
// Must not know in which tier the plugin runs.
import type {
  Consumer,
  Credential,
  CredentialFinder,
  Exchange,
  ExchangeOutcome,
  ExchangeRequest,
  ExchangeResponse,
  HeaderFields,
  Identity,
  MaybePromise,
} from '../core/plugin.ts';
import { cutCredential, cutIdentity, DeniedError, type Grants, type SideGrants } from './grants.ts';
import type { Side } from './messages.ts';

/** Is an exchange as far as it was granted. Fields that may not be read are absent from lists; asking for one throws. */
export class GuardedExchange implements Exchange {
  readonly grants: Grants;
  /** What the plugin was refused first, if anything: it may not hide that by catching. */
  denied: DeniedError | undefined;
  readonly #exchange: Exchange;
  readonly #request: GuardedRequest;
  #response: GuardedResponse | undefined;
  #state: Map<string, unknown> | undefined;
  #found: Identity[] | undefined;

  constructor(exchange: Exchange, grants: Grants) {
    this.grants = grants;
    this.#exchange = exchange;
    this.#request = new GuardedRequest(this, exchange.request);
  }

  deny(what: string): never {
    const error = new DeniedError(what);
    this.denied ??= error;
    throw error;
  }

  get id(): string {
    return this.#exchange.id;
  }

  set id(id: string) {
    if (!this.grants.request.writeHeaders.has('x-request-id')) this.deny('write request header x-request-id');
    this.#exchange.id = id;
  }

  get httpVersion(): string {
    return this.#exchange.httpVersion;
  }

  get api(): Exchange['api'] {
    return this.#exchange.api;
  }

  get route(): Exchange['route'] {
    return this.#exchange.route;
  }

  get client(): Exchange['client'] {
    return this.#exchange.client;
  }

  get request(): ExchangeRequest {
    return this.#request;
  }

  get response(): ExchangeResponse | undefined {
    const { response } = this.#exchange;
    if (!response) return undefined;
    if (this.#response?.of !== response) this.#response = new GuardedResponse(this, response);
    return this.#response;
  }

  get consumer(): Consumer | undefined {
    if (!this.grants.canFindConsumers) this.deny('read consumers');
    return this.#exchange.consumer;
  }

  get credential(): Credential | undefined {
    if (!this.grants.canFindConsumers) this.deny('read consumers');
    const { credential } = this.#exchange;
    return credential && cutCredential(this.grants, credential);
  }

  get consumers(): CredentialFinder {
    return { findByCredential: (type, lookup) => this.#find(type, lookup) };
  }

  get outcome(): ExchangeOutcome {
    return this.#exchange.outcome;
  }

  /** Notes of this plugin alone: what others left may hold what this one may not read. */
  get state(): Map<string, unknown> {
    this.#state ??= new Map();
    return this.#state;
  }

  /** Gives an identity that was found in this exchange, by the order of finding. */
  foundAt(index: number): Identity | undefined {
    return this.#found?.[index];
  }

  identify(identity: Identity): void {
    if (!this.grants.canIdentify) this.deny('say who calls');
    // Who could make up a consumer could be any.
    if (!this.#found?.includes(identity)) this.deny('say that somebody calls who was not found');
    this.#exchange.identify(identity);
  }

  respond(status: number, headers?: Readonly<Record<string, string>>, body?: string | Uint8Array): void {
    if (!this.grants.canRespond) this.deny('answer');
    this.#exchange.respond(status, headers, body);
  }

  #find(type: string, lookup: string): MaybePromise<Identity | undefined> {
    if (!this.grants.canFindConsumers) this.deny('read consumers');
    const found = this.#exchange.consumers.findByCredential(type, lookup);
    return found instanceof Promise ? found.then((one) => this.#remember(one)) : this.#remember(found);
  }

  #remember(identity: Identity | undefined): Identity | undefined {
    if (!identity) return undefined;
    const cut = cutIdentity(this.grants, identity);
    this.#found ??= [];
    this.#found.push(cut);
    return cut;
  }
}

class GuardedRequest implements ExchangeRequest {
  readonly #owner: GuardedExchange;
  readonly #request: ExchangeRequest;
  #headers: GuardedHeaders | undefined;

  constructor(owner: GuardedExchange, request: ExchangeRequest) {
    this.#owner = owner;
    this.#request = request;
  }

  get method(): string {
    return this.#request.method;
  }

  get host(): string {
    return this.#request.host;
  }

  get hasBody(): boolean {
    return this.#request.hasBody;
  }

  get headers(): HeaderFields {
    this.#headers ??= new GuardedHeaders(this.#owner, 'request', this.#request.headers);
    return this.#headers;
  }

  get path(): string {
    if (!this.#owner.grants.request.canReadPath) this.#owner.deny('read the path');
    return this.#request.path;
  }

  set path(path: string) {
    if (!this.#owner.grants.request.canWritePath) this.#owner.deny('write the path');
    this.#request.path = path;
  }

  get query(): string {
    if (!this.#owner.grants.request.canReadQuery) this.#owner.deny('read the query');
    return this.#request.query;
  }

  set query(query: string) {
    if (!this.#owner.grants.request.canWriteQuery) this.#owner.deny('write the query');
    this.#request.query = query;
  }

  readBody(maxBytes?: number): Promise<Uint8Array> {
    if (!this.#owner.grants.request.canReadBody) this.#owner.deny('read the request body');
    return this.#request.readBody(maxBytes);
  }

  setBody(body: Uint8Array): void {
    if (!this.#owner.grants.request.canWriteBody) this.#owner.deny('write the request body');
    this.#request.setBody(body);
  }
}

class GuardedResponse implements ExchangeResponse {
  readonly of: ExchangeResponse;
  readonly headers: HeaderFields;
  readonly #owner: GuardedExchange;

  constructor(owner: GuardedExchange, response: ExchangeResponse) {
    this.#owner = owner;
    this.of = response;
    this.headers = new GuardedHeaders(owner, 'response', response.headers);
  }

  get status(): number {
    return this.of.status;
  }

  // Another status is another answer.
  set status(status: number) {
    if (!this.#owner.grants.canRespond) this.#owner.deny('answer');
    this.of.status = status;
  }

  get source(): 'upstream' | 'gateway' {
    return this.of.source;
  }
}

class GuardedHeaders implements HeaderFields {
  readonly #owner: GuardedExchange;
  readonly #side: Side;
  readonly #headers: HeaderFields;
  readonly #grants: SideGrants;

  constructor(owner: GuardedExchange, side: Side, headers: HeaderFields) {
    this.#owner = owner;
    this.#side = side;
    this.#headers = headers;
    this.#grants = owner.grants[side];
  }

  get(name: string): string | undefined {
    this.#mustRead(name);
    return this.#headers.get(name);
  }

  getAll(name: string): readonly string[] {
    this.#mustRead(name);
    return this.#headers.getAll(name);
  }

  has(name: string): boolean {
    this.#mustRead(name);
    return this.#headers.has(name);
  }

  set(name: string, value: string): void {
    this.#mustWrite(name);
    this.#headers.set(name, value);
  }

  append(name: string, value: string): void {
    this.#mustWrite(name);
    this.#headers.append(name, value);
  }

  delete(name: string): void {
    this.#mustWrite(name);
    this.#headers.delete(name);
  }

  entries(): readonly (readonly [string, string])[] {
    return this.#headers.entries().filter(([name]) => this.#grants.readHeaders.has(name));
  }

  #mustRead(name: string): void {
    if (!this.#grants.readHeaders.has(name)) this.#owner.deny(`read ${this.#side} header ${name}`);
  }

  #mustWrite(name: string): void {
    if (!this.#grants.writeHeaders.has(name)) this.#owner.deny(`write ${this.#side} header ${name}`);
  }
}
