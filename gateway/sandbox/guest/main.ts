// The first code in a guest: answers the gateway's messages with what the plugin does.
// Must not hand the plugin anything that is not of its own realm.
import './text.ts';
import { GatewayError, type Plugin } from '../../core/plugin.ts';
import type { CallName, FromGuest, GuestError, Note, OpenOptions, ToGuest } from '../messages.ts';
import { type Answer, type Ask, buildReading, GuestExchange, type Reading } from './exchange.ts';
import { NotGranted } from './headers.ts';
import { buildGuestHost } from './host.ts';

/** Sends a message to the gateway. */
export type Post = (text: string, blobs: readonly Uint8Array[]) => void;

/** Is the module of a plugin. */
export interface PluginModule {
  readonly plugin?: Plugin<unknown, unknown>;
  readonly migrate?: (config: unknown, fromVersion: number) => unknown;
}

/** Takes messages of the gateway. */
export interface Guest {
  receive(text: string, bytes: Uint8Array | undefined): void;
  /** Tells of a rejection that nobody handled. */
  trouble(reason: unknown): void;
}

interface Instance {
  readonly config: unknown;
  readonly state: unknown;
}

/** Exchanges remembered for plugins of several hooks; the gateway says when one is over, so this bound is for faults. */
const MAX_EXCHANGES = 10_000;
const NO_BYTES: readonly Uint8Array[] = [];
const { parse, stringify } = JSON;

/** Takes from the realm what would let code share memory, compile bytes or wait without end. Runs before a plugin loads. */
export function closeRealm(): void {
  for (const name of ['SharedArrayBuffer', 'Atomics', 'WebAssembly', 'console'])
    Reflect.deleteProperty(globalThis, name);
  // Who formats stacks is handed the functions on it.
  Object.defineProperty(Error, 'prepareStackTrace', { value: undefined, writable: false, configurable: false });
}

/** Makes bytes of this realm: those of another would lead back to it by their prototype. */
export function allocate(size: number): Uint8Array {
  return new Uint8Array(size);
}

/** Puts a plugin to work behind `post`. */
export function openGuest(module: PluginModule, post: Post): Guest {
  const guest = new GuestState(module, post);
  return { receive: (text, bytes) => guest.receive(text, bytes), trouble: (reason) => guest.trouble(reason) };
}

class GuestState {
  readonly #module: PluginModule;
  readonly #post: Post;
  readonly #instances: Map<number, Instance> = new Map();
  readonly #exchanges: Map<number, GuestExchange> = new Map();
  readonly #calls: Map<number, { resolve(answer: Answer): void; reject(error: Error): void }> = new Map();
  #reading: Reading = buildReading({});
  #keepsExchanges = false;
  #lastCall = 0;
  #notes: Note[] = [];
  #time: { wallMs: number; monotonicMs: number; atMs: number } = { wallMs: 0, monotonicMs: 0, atMs: 0 };

  constructor(module: PluginModule, post: Post) {
    this.#module = module;
    this.#post = post;
  }

  receive(text: string, bytes: Uint8Array | undefined): void {
    const message = parse(text) as ToGuest;
    switch (message[0]) {
      case 'ping':
        this.#send(['pong', message[1]]);
        return;
      case 'answer':
        this.#answer(message, bytes);
        return;
      case 'forget':
        return void this.#exchanges.delete(message[1]);
      case 'open':
        this.#run(message[1], () => this.#open(message[2]));
        return;
      case 'setup':
        this.#run(message[1], () => this.#setUp(message), undefined, NOTHING);
        return;
      case 'close':
        this.#run(message[1], () => this.#close(message[2]), undefined, NOTHING);
        return;
      case 'migrate':
        this.#run(message[1], () => this.#module.migrate?.(message[2], message[3]));
        return;
      default:
        this.#runHook(message, bytes);
        return;
    }
  }

  trouble(reason: unknown): void {
    this.#send(['trouble', describe(reason).message]);
  }

  #open({ hooks, permissions }: OpenOptions): unknown {
    const { plugin, migrate } = this.#module;
    if (!plugin) throw new TypeError('expected index.js to export plugin');
    for (const hook of hooks) {
      if (typeof plugin[hook] !== 'function') throw new TypeError(`expected the hook ${hook} of its manifest`);
    }
    const other = Object.keys(plugin).find((key) => key.startsWith('on') && !(hooks as string[]).includes(key));
    if (other !== undefined) throw new TypeError(`${other} is not in its manifest's hooks`);
    this.#reading = buildReading(permissions);
    this.#keepsExchanges = hooks.length > 1 || hooks.some((hook) => hook.endsWith('Chunk'));
    return { hasMigrate: typeof migrate === 'function' };
  }

  #setUp([, , instance, config, lent]: Extract<ToGuest, readonly ['setup', ...unknown[]]>): unknown {
    const host = buildGuestHost({
      instance,
      lent,
      note: (note) => this.#note(note),
      ask: (name, args, bytes) => this.#call(instance, 0, name, args, bytes),
      wallMs: () => this.#time.wallMs + this.#elapsedMs(),
      monotonicMs: () => this.#time.monotonicMs + this.#elapsedMs(),
    });
    const keep = (state: unknown): void => void this.#instances.set(instance, { config, state });
    const state = this.#module.plugin?.setup?.(config, host);
    return state instanceof Promise ? state.then(keep) : keep(state);
  }

  #elapsedMs(): number {
    return Math.max(0, Date.now() - this.#time.atMs);
  }

  #close(instance: number): unknown {
    const known = this.#instances.get(instance);
    this.#instances.delete(instance);
    return known && this.#module.plugin?.close?.(known.state);
  }

  #runHook(message: HookMessage, bytes: Uint8Array | undefined): void {
    const [kind, id, instance, hook, key, view] = message;
    const plugin = this.#module.plugin;
    const known = this.#instances.get(instance);
    if (view) this.#time = { wallMs: view.now[0], monotonicMs: view.now[1], atMs: Date.now() };
    const exchange = this.#findExchange(key, message);
    if (!plugin || !known || !exchange) {
      this.#fail(id, new Error('no such set-up'));
      return;
    }
    const { config, state } = known;
    if (kind === 'hook') {
      const run = plugin[hook] as NonNullable<Plugin<unknown, unknown>['onRequest']>;
      this.#run(id, () => run.call(plugin, exchange, config, state), exchange, NOTHING);
      return;
    }
    const run = plugin[hook] as NonNullable<Plugin<unknown, unknown>['onRequestChunk']>;
    this.#run(id, () => run.call(plugin, bytes ?? allocate(0), message[6], exchange, config, state), exchange, toChunk);
  }

  #findExchange(key: number, [, id, instance, , , view]: HookMessage): GuestExchange | undefined {
    const ask: Ask = (name, args) => this.#call(instance, id, name, args);
    const known = this.#exchanges.get(key);
    if (known) {
      known.renew(view, ask);
      return known;
    }
    if (!view) return undefined;
    const exchange = new GuestExchange(this.#reading, view, ask);
    if (!this.#keepsExchanges) return exchange;
    if (this.#exchanges.size >= MAX_EXCHANGES) {
      const [oldest = 0] = this.#exchanges.keys();
      this.#exchanges.delete(oldest);
    }
    this.#exchanges.set(key, exchange);
    return exchange;
  }

  /** Does what a message wants and answers it, now or when its promise settles. */
  #run(id: number, work: () => unknown, exchange?: GuestExchange, shape: Shape = asIs): void {
    try {
      const result = work();
      if (isThenable(result)) {
        Promise.resolve(result).then(
          (value) => this.#finish(id, value, exchange, shape),
          (error: unknown) => this.#fail(id, error),
        );
      } else this.#finish(id, result, exchange, shape);
    } catch (error) {
      this.#fail(id, error);
    }
  }

  #finish(id: number, result: unknown, exchange: GuestExchange | undefined, shape: Shape): void {
    try {
      const value = shape(result, exchange);
      const { effects, blobs } = exchange?.take() ?? { effects: [], blobs: NO_BYTES };
      this.#send(['done', id, value ?? null, effects, this.#takeNotes()], blobs);
    } catch (error) {
      this.#fail(id, error);
    }
  }

  #fail(id: number, error: unknown): void {
    this.#send(['failed', id, describe(error), this.#takeNotes()]);
  }

  #call(instance: number, of: number, name: CallName, args: readonly unknown[], bytes?: Uint8Array): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const call = ++this.#lastCall;
      this.#calls.set(call, { resolve, reject });
      this.#send(['call', call, instance, of, name, args], bytes ? [bytes] : NO_BYTES);
    });
  }

  #answer([, call, isGood, value]: Extract<ToGuest, readonly ['answer', ...unknown[]]>, bytes?: Uint8Array): void {
    const waiting = this.#calls.get(call);
    this.#calls.delete(call);
    if (isGood) waiting?.resolve({ value, bytes });
    else waiting?.reject(toError(value as GuestError));
  }

  /** Notes go with the answer of the hook that made them, or by themselves when none is under way. */
  #note(note: Note): void {
    this.#notes.push(note);
    if (this.#notes.length > 1) return;
    void Promise.resolve().then(() => {
      if (this.#notes.length > 0) this.#send(['notes', this.#takeNotes()]);
    });
  }

  #takeNotes(): readonly Note[] {
    if (this.#notes.length === 0) return this.#notes;
    return this.#notes.splice(0);
  }

  #send(message: FromGuest, blobs: readonly Uint8Array[] = NO_BYTES): void {
    this.#post(stringify(message), blobs);
  }
}

type HookMessage = Extract<ToGuest, readonly ['hook' | 'chunk', ...unknown[]]>;
type Shape = (result: unknown, exchange: GuestExchange | undefined) => unknown;

const asIs: Shape = (result) => result;

/** Says what became of a chunk: the index of its bytes, `drop` or `same`. */
const toChunk: Shape = (result, exchange) => {
  if (result === null) return 'drop';
  if (result === undefined || !exchange) return 'same';
  if (!(result instanceof Uint8Array)) throw new TypeError('expected a chunk hook to give bytes, null or undefined');
  return exchange.attach(result);
};

/** Only `migrate` gives a value; what hooks return is nobody's. */
const NOTHING: Shape = () => null;

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

function describe(error: unknown): GuestError {
  try {
    if (error instanceof GatewayError) {
      const { message, code, headers } = error;
      return { message: String(message), isDenied: false, code, ...(headers && { headers: { ...headers } }) };
    }
    const isDenied = error instanceof NotGranted;
    if (error instanceof Error) return { message: String(error.message), isDenied };
    return { message: String(error), isDenied };
  } catch {
    return { message: 'a value that cannot be shown', isDenied: false };
  }
}

function toError({ message, code, isDenied }: GuestError): Error {
  if (isDenied) return new NotGranted(message.replace(/^not granted: /, ''));
  return code === undefined ? new Error(message) : new GatewayError(code as GatewayError['code'], message);
}
