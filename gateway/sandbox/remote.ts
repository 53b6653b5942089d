// A plugin whose code is elsewhere: each hook is one message out and one back, and its effects are applied here.
// Must not know how messages travel.
import type { HookName, Manifest } from '../core/manifest.ts';
import type { Exchange, Host, MaybePromise, Plugin } from '../core/plugin.ts';
import { type Conversation, GuestGone, type Reply } from './conversation.ts';
import { applyEffects, findBlob, ProtocolError } from './effects.ts';
import { DeniedError } from './grants.ts';
import { GuardedExchange } from './guard.ts';
import type { GuestKeeper, Incident, KeeperOptions } from './keeper.ts';
import { guardHost, type Lender, listSecrets } from './lending.ts';
import type { Side } from './messages.ts';
import { buildView } from './view.ts';

/** Longest that a set-up, a close or a migration may take. */
const SETUP_TIMEOUT_MS = 5_000;

/** Who loses its guest while it is set up, and again, is what it is lost by. */
const MAX_SETUP_TRIES = 2;

/** Is a set-up whose state is in the guest. */
interface Instance {
  readonly number: number;
  readonly config: unknown;
  readonly host: Host;
}

/** Is what the guest remembers of an exchange, if it is still the same guest. */
interface Known {
  readonly key: number;
  readonly by: Conversation;
}

/** Is what a remote plugin is made of. */
export interface RemoteOptions {
  readonly code: string;
  readonly manifest: Manifest;
  readonly lender: Lender;
  onIncident(incident: Incident): void;
  keep(options: KeeperOptions): Promise<GuestKeeper>;
}

/** Is a plugin in a guest. */
export interface Remote {
  readonly plugin: Plugin<unknown, unknown>;
  readonly hasMigrate: boolean;
  migrate(config: unknown, fromVersion: number): Promise<unknown>;
  close(): Promise<void>;
}

/** Puts a plugin into a guest. @throws Error when it does not load, or lacks a hook */
export async function openRemote(options: RemoteOptions): Promise<Remote> {
  const remote = new RemotePlugin(options);
  await remote.open();
  return remote;
}

class RemotePlugin implements Remote {
  readonly plugin: Plugin<unknown, unknown>;
  hasMigrate = false;
  readonly #options: RemoteOptions;
  readonly #instances: Map<number, Instance> = new Map();
  readonly #settingUp: Map<number, Instance> = new Map();
  readonly #known: WeakMap<Exchange, Known> = new WeakMap();
  /** Says that the guest keeps an exchange from hook to hook, until it is told to forget it. */
  readonly #keepsExchanges: boolean;
  #keeper: GuestKeeper | undefined;
  #lastInstance = 0;
  #lastExchange = 0;

  constructor(options: RemoteOptions) {
    this.#options = options;
    const { hooks } = options.manifest;
    this.#keepsExchanges = hooks.length > 1 || hooks.some((hook) => hook.endsWith('Chunk'));
    this.plugin = this.#buildPlugin(hooks);
  }

  async open(): Promise<void> {
    const { code, manifest, keep, onIncident } = this.#options;
    this.#keeper = await keep({
      code,
      limits: manifest.limits,
      findHost: (instance) => (this.#instances.get(instance) ?? this.#settingUp.get(instance))?.host,
      onOpen: (conversation) => this.#openGuest(conversation),
      onIncident,
    });
  }

  async migrate(config: unknown, fromVersion: number): Promise<unknown> {
    const conversation = this.#converse();
    const message = ['migrate', conversation.nextId(), config, fromVersion] as const;
    return (await conversation.ask(message, { timeoutMs: SETUP_TIMEOUT_MS })).value;
  }

  async close(): Promise<void> {
    await this.#keeper?.close();
  }

  async #openGuest(conversation: Conversation): Promise<void> {
    const { manifest, lender, onIncident } = this.#options;
    const { permissions } = lender.grants;
    const open = ['open', conversation.nextId(), { hooks: manifest.hooks, permissions }] as const;
    const { value } = await conversation.ask(open, { timeoutMs: SETUP_TIMEOUT_MS });
    this.hasMigrate = typeof value === 'object' && value !== null && Object(value).hasMigrate === true;
    for (const instance of this.#instances.values()) {
      // One that cannot be set up again fails by itself; the others shall not fail with it.
      await this.#setUpIn(conversation, instance).catch((error: Error) =>
        onIncident({ kind: 'crash', message: `a set-up failed after a restart: ${error.message}` }),
      );
    }
  }

  async #setUpIn(conversation: Conversation, { number, config, host }: Instance): Promise<void> {
    const lent = { binding: host.binding, secrets: listSecrets(this.#options.lender) };
    const message = ['setup', conversation.nextId(), number, config, lent] as const;
    await conversation.ask(message, { timeoutMs: SETUP_TIMEOUT_MS });
  }

  #converse(): Conversation {
    const conversation = this.#keeper?.conversation;
    if (!conversation) throw new GuestGone('the plugin is being started again');
    return conversation;
  }

  #buildPlugin(hooks: readonly HookName[]): Plugin<unknown, unknown> {
    const plugin: Record<string, unknown> = {
      setup: (config: unknown, host: Host) => this.#setUp(config, host),
      close: (state: unknown) => this.#closeInstance(state as Instance),
    };
    for (const hook of hooks) {
      plugin[hook] = hook.endsWith('Chunk')
        ? (chunk: Uint8Array, last: boolean, exchange: Exchange, _config: unknown, state: unknown) =>
            this.#runChunk({ hook, exchange, instance: state as Instance }, chunk, last)
        : (exchange: Exchange, _config: unknown, state: unknown) =>
            this.#run({ hook, exchange, instance: state as Instance });
    }
    // The end of an exchange is told by its last hook, declared or not.
    if (this.#keepsExchanges && !hooks.includes('onLog'))
      plugin['onLog'] = (exchange: Exchange) => this.#forget(exchange);
    return plugin;
  }

  /** Sets up in the guest; one that is lost meanwhile, or not there yet, is waited for: a revision is not refused for that. */
  async #setUp(config: unknown, host: Host): Promise<Instance> {
    const instance = { number: ++this.#lastInstance, config, host: guardHost(this.#options.lender, host) };
    this.#settingUp.set(instance.number, instance);
    try {
      for (let tries = 1; ; tries++) {
        const conversation = await this.#keeper?.whenOpen();
        if (!conversation) throw new GuestGone('the plugin is closed');
        try {
          await this.#setUpIn(conversation, instance);
          // Another guest may have come in its place meanwhile, and knows nothing of this set-up.
          if (this.#keeper?.conversation !== conversation && tries < MAX_SETUP_TRIES) continue;
          this.#instances.set(instance.number, instance);
          return instance;
        } catch (error) {
          if (!(error instanceof GuestGone) || tries === MAX_SETUP_TRIES) throw error;
        }
      }
    } finally {
      this.#settingUp.delete(instance.number);
    }
  }

  async #closeInstance({ number }: Instance): Promise<void> {
    this.#instances.delete(number);
    const conversation = this.#keeper?.conversation;
    await conversation?.ask(['close', conversation.nextId(), number], { timeoutMs: SETUP_TIMEOUT_MS });
  }

  #run(run: HookRun): MaybePromise<void> {
    const { hook, exchange, instance } = run;
    const conversation = this.#converse();
    const guarded = new GuardedExchange(exchange, this.#options.lender.grants);
    const { key } = this.#know(conversation, exchange);
    const hasOutcome = hook === 'onLog' || hook === 'onResponse';
    const view = buildView(guarded.grants, exchange, instance.host.clock, hasOutcome);
    const message = ['hook', conversation.nextId(), instance.number, hook, key, view] as const;
    try {
      const reply = (): MaybePromise<Reply> => conversation.ask(message, this.#bounds(guarded));
      return this.#finish(hook, reply, (given) => applyReply(guarded, given));
    } finally {
      if (hook === 'onLog') this.#forget(exchange);
    }
  }

  #runChunk(run: HookRun, chunk: Uint8Array, last: boolean): MaybePromise<Uint8Array | null | undefined> {
    const { hook, exchange, instance } = run;
    const conversation = this.#converse();
    const guarded = new GuardedExchange(exchange, this.#options.lender.grants);
    const { key, isNew } = this.#know(conversation, exchange);
    const view = isNew ? buildView(guarded.grants, exchange, instance.host.clock, false) : null;
    const message = ['chunk', conversation.nextId(), instance.number, hook, key, view, last] as const;
    const reply = (): MaybePromise<Reply> => conversation.ask(message, { ...this.#bounds(guarded), blob: chunk });
    return this.#finish(hook, reply, (given) => {
      applyReply(guarded, given);
      return readChunk(hook === 'onRequestChunk' ? 'request' : 'response', guarded, given);
    });
  }

  #bounds(exchange: GuardedExchange): { readonly timeoutMs: number; readonly exchange: GuardedExchange } {
    return { timeoutMs: this.#options.manifest.limits.timeoutMs, exchange };
  }

  /** Finishes with an answer, now or when it comes; tells of what went wrong. */
  #finish<Result>(
    hook: HookName,
    ask: () => MaybePromise<Reply>,
    finish: (given: Reply) => Result,
  ): MaybePromise<Result> {
    try {
      const reply = ask();
      if (!(reply instanceof Promise)) return finish(reply);
      return reply.then(finish).catch((error: unknown) => this.#raise(error, hook));
    } catch (error) {
      return this.#raise(error, hook);
    }
  }

  /** A hook that is late is told and counted by the pipeline; its guest, if it is killed for that, by its keeper. */
  #raise(error: unknown, hook: HookName): never {
    const { onIncident } = this.#options;
    if (error instanceof DeniedError) onIncident({ kind: 'denied', message: error.message, hook });
    if (error instanceof ProtocolError) onIncident({ kind: 'crash', message: error.message, hook });
    throw error;
  }

  #know(conversation: Conversation, exchange: Exchange): { readonly key: number; readonly isNew: boolean } {
    if (!this.#keepsExchanges) return { key: 0, isNew: true };
    const known = this.#known.get(exchange);
    if (known?.by === conversation) return { key: known.key, isNew: false };
    const key = ++this.#lastExchange;
    this.#known.set(exchange, { key, by: conversation });
    return { key, isNew: true };
  }

  #forget(exchange: Exchange): void {
    const known = this.#known.get(exchange);
    if (known) known.by.tell(['forget', known.key]);
    this.#known.delete(exchange);
  }
}

interface HookRun {
  readonly hook: HookName;
  readonly exchange: Exchange;
  readonly instance: Instance;
}

function applyReply(guarded: GuardedExchange, { effects, blobs }: Reply): void {
  applyEffects(guarded, effects, blobs);
  if (guarded.denied) throw guarded.denied;
}

function readChunk(side: Side, guarded: GuardedExchange, { value, blobs }: Reply): Uint8Array | null | undefined {
  if (value === 'same') return undefined;
  if (!guarded.grants[side].canWriteBody) guarded.deny(`write the ${side} body`);
  return value === 'drop' ? null : findBlob(blobs, value);
}
