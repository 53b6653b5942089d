// The exchange as a guest sees it: built from a view, its changes noted as effects, its questions sent as calls.
// Must not be trusted by the gateway, which checks every effect again.
import { listHeaderPatterns, type Permissions } from '../../core/manifest.ts';
import type {
  ClientCertificate,
  Consumer,
  Credential,
  CredentialFinder,
  Exchange,
  ExchangeOutcome,
  ExchangeRequest,
  ExchangeResponse,
  Identity,
} from '../../core/plugin.ts';
import type { CallName, Effect, Side, View } from '../messages.ts';
import { GuestHeaders, NotGranted } from './headers.ts';
import { NamePatterns } from './names.ts';
import { encodeUtf8 } from './text.ts';

/** Is what a plugin may read, made ready. */
export interface Reading {
  readonly permissions: Permissions;
  readonly request: NamePatterns;
  readonly response: NamePatterns;
}

/** Is what comes back from a call. */
export interface Answer {
  readonly value: unknown;
  readonly bytes: Uint8Array | undefined;
}

/** Sends a call of one hook and waits for its answer. */
export type Ask = (name: CallName, args: readonly unknown[]) => Promise<Answer>;

/** Makes grants ready for exchanges. */
export function buildReading(permissions: Permissions): Reading {
  return {
    permissions,
    request: new NamePatterns(listHeaderPatterns(permissions.request?.headers).read),
    response: new NamePatterns(listHeaderPatterns(permissions.response?.headers).read),
  };
}

const NO_OUTCOME: ExchangeOutcome = {
  startedAt: 0,
  totalMs: 0,
  upstreamMs: undefined,
  requestBytes: 0,
  responseBytes: 0,
  target: undefined,
  tries: 0,
  errorCode: undefined,
  isComplete: false,
};

/** Is one exchange; the same object for all hooks of a plugin that has several. */
export class GuestExchange implements Exchange {
  readonly state: Map<string, unknown> = new Map();
  readonly consumers: CredentialFinder;
  readonly reading: Reading;
  #view: View;
  #ask: Ask;
  #effects: Effect[] = [];
  #blobs: Uint8Array[] = [];
  #found: Identity[] = [];
  #request: GuestRequest;
  #response: GuestResponse | undefined;

  constructor(reading: Reading, view: View, ask: Ask) {
    this.reading = reading;
    this.#view = view;
    this.#ask = ask;
    this.#request = new GuestRequest(this, view.request);
    this.#response = view.response && new GuestResponse(this, view.response);
    this.consumers = { findByCredential: (type, lookup) => this.#find(type, lookup) };
  }

  /** Begins a hook: takes what the gateway now says, forgets what the last hook did. */
  renew(view: View | null, ask: Ask): void {
    this.#ask = ask;
    this.#effects = [];
    this.#blobs = [];
    this.#found = [];
    if (!view) return;
    this.#view = view;
    this.#request = new GuestRequest(this, view.request);
    this.#response = view.response && new GuestResponse(this, view.response);
  }

  /** Gives what the hook did. */
  take(): { readonly effects: readonly Effect[]; readonly blobs: Uint8Array[] } {
    const taken = { effects: this.#effects, blobs: this.#blobs };
    this.#effects = [];
    this.#blobs = [];
    return taken;
  }

  note(effect: Effect): void {
    this.#effects.push(effect);
  }

  attach(bytes: Uint8Array): number {
    return this.#blobs.push(bytes.slice()) - 1;
  }

  ask(name: CallName, args: readonly unknown[]): Promise<Answer> {
    return this.#ask(name, args);
  }

  get id(): string {
    return this.#view.id;
  }

  set id(id: string) {
    this.note(['id', String(id)]);
    this.#view = { ...this.#view, id: String(id) };
  }

  get httpVersion(): string {
    return this.#view.httpVersion;
  }

  get api(): Exchange['api'] {
    return this.#view.api;
  }

  get route(): Exchange['route'] {
    return this.#view.route;
  }

  get client(): Exchange['client'] {
    return this.#view.client as { ip: string; scheme: 'http' | 'https'; certificate?: ClientCertificate };
  }

  get request(): ExchangeRequest {
    return this.#request;
  }

  get response(): ExchangeResponse | undefined {
    return this.#response;
  }

  get consumer(): Consumer | undefined {
    return this.#identity()?.[0] as Consumer | undefined;
  }

  get credential(): Credential | undefined {
    return this.#identity()?.[1] as Credential | undefined;
  }

  get outcome(): ExchangeOutcome {
    return this.#view.outcome ?? NO_OUTCOME;
  }

  identify(identity: Identity): void {
    const index = this.#found.indexOf(identity);
    if (index === -1) throw new TypeError('expected an identity that findByCredential gave in this hook');
    this.note(['identify', index]);
    this.#view = { ...this.#view, identity: [identity.consumer, identity.credential] };
  }

  respond(status: number, headers: Readonly<Record<string, string>> = {}, body: string | Uint8Array = ''): void {
    this.note(['respond', status, { ...headers }, typeof body === 'string' ? body : this.attach(body)]);
  }

  #identity(): View['identity'] {
    if (this.reading.permissions.consumers !== 'read') throw new NotGranted('read consumers');
    return this.#view.identity;
  }

  async #find(type: string, lookup: string): Promise<Identity | undefined> {
    if (this.reading.permissions.consumers !== 'read') throw new NotGranted('read consumers');
    const { value } = await this.ask('find', [type, lookup]);
    if (!Array.isArray(value)) return undefined;
    const identity: Identity = { consumer: value[0], credential: value[1] };
    this.#found.push(identity);
    return identity;
  }
}

class GuestRequest implements ExchangeRequest {
  readonly method: string;
  readonly host: string;
  readonly hasBody: boolean;
  readonly headers: GuestHeaders;
  readonly #owner: GuestExchange;
  #path: string | undefined;
  #query: string | undefined;
  #body: Uint8Array | undefined;

  constructor(owner: GuestExchange, view: View['request']) {
    this.#owner = owner;
    this.method = view.method;
    this.host = view.host;
    this.hasBody = view.hasBody;
    this.#path = view.path;
    this.#query = view.query;
    this.headers = new GuestHeaders('request', view.headers, owner.reading.request, (effect) => owner.note(effect));
  }

  get path(): string {
    if (this.#path === undefined) throw new NotGranted('read the path');
    return this.#path;
  }

  set path(path: string) {
    this.#owner.note(['path', String(path)]);
    this.#path = String(path);
  }

  get query(): string {
    if (this.#query === undefined) throw new NotGranted('read the query');
    return this.#query;
  }

  set query(query: string) {
    this.#owner.note(['query', String(query)]);
    this.#query = String(query);
  }

  async readBody(maxBytes?: number): Promise<Uint8Array> {
    mustReadBody(this.#owner, 'request');
    if (this.#body) return this.#body.slice();
    const { bytes } = await this.#owner.ask('readBody', [maxBytes ?? null]);
    return bytes ?? new Uint8Array(0);
  }

  setBody(body: Uint8Array | string): void {
    const bytes = typeof body === 'string' ? encodeUtf8(body) : body;
    this.#owner.note(['body', this.#owner.attach(bytes)]);
    this.#body = bytes.slice();
  }
}

function mustReadBody(owner: GuestExchange, side: Side): void {
  const granted = owner.reading.permissions[side]?.body ?? 'none';
  if (granted === 'none') throw new NotGranted(`read the ${side} body`);
}

class GuestResponse implements ExchangeResponse {
  readonly headers: GuestHeaders;
  readonly source: 'upstream' | 'gateway';
  readonly #owner: GuestExchange;
  #status: number;

  constructor(owner: GuestExchange, view: { status: number; source: string; headers: View['request']['headers'] }) {
    this.#owner = owner;
    this.#status = view.status;
    this.source = view.source === 'upstream' ? 'upstream' : 'gateway';
    this.headers = new GuestHeaders('response', view.headers, owner.reading.response, (effect) => owner.note(effect));
  }

  get status(): number {
    return this.#status;
  }

  set status(status: number) {
    this.#owner.note(['status', Number(status)]);
    this.#status = Number(status);
  }
}
