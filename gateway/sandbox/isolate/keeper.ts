// Keeps one isolate alive for one plugin version: goes into it, ends it when it breaks a bound, makes it anew.
// Must not know hooks or exchanges: it carries a conversation.
import { Conversation, GuestTimeout } from '../conversation.ts';
import type { GuestKeeper, KeeperOptions } from '../keeper.ts';
import type { Frame } from '../messages.ts';
import { Restarts } from '../restarts.ts';
import { checkCode } from '../sources.ts';
import type { IsolateLibrary } from './library.ts';
import { IsolateLost, Realm } from './realm.ts';

/** Longest that a hook may hold the worker, whatever its manifest says: nothing else happens meanwhile. */
const MAX_HOLD_MS = 100;
/** Longest that set-ups and what else is not a hook may run, in a thread beside. */
const BESIDE_TIMEOUT_MS = 5_000;
/** The pipeline counts the time of a hook as well, and is let come first: it knows the fail policy. */
const GRACE_MS = 20;
const TICK_MS = 25;
/** Ticks without work after which nobody looks any more. */
const IDLE_TICKS = 20;
const HOOK = /^\["(?:hook|chunk)"/;
/** Messages for which the worker goes into the isolate itself. */
const QUICK = /^\["(?:hook|chunk|answer|forget)"/;

/** Makes an isolate and gives its keeper when the plugin is loaded. @throws Error when it does not load */
export async function keepIsolate(library: IsolateLibrary, options: KeeperOptions): Promise<GuestKeeper> {
  checkCode(options.code);
  const keeper = new IsolateKeeper(library, options);
  await keeper.start();
  return keeper;
}

interface Running {
  readonly realm: Realm;
  readonly conversation: Conversation;
  readonly startedMs: number;
  isOver: boolean;
}

class IsolateKeeper implements GuestKeeper {
  readonly #library: IsolateLibrary;
  readonly #options: KeeperOptions;
  readonly #restarts: Restarts;
  #running: Running | undefined;
  #isReady = false;
  #isClosed = false;
  #watch: NodeJS.Timeout | undefined;
  #quietTicks = 0;

  constructor(library: IsolateLibrary, options: KeeperOptions) {
    this.#library = library;
    this.#options = options;
    this.#restarts = new Restarts({
      start: () => this.start(),
      onFailure: (message) => options.onIncident({ kind: 'crash', message }),
    });
  }

  get conversation(): Conversation | undefined {
    return this.#isReady ? this.#running?.conversation : undefined;
  }

  whenOpen(): Promise<Conversation> {
    const { conversation } = this;
    return conversation ? Promise.resolve(conversation) : this.#restarts.wait();
  }

  /** Makes an isolate and loads the plugin. @throws Error when it does not load */
  async start(): Promise<void> {
    const running = await this.#open();
    this.#running = running;
    try {
      if (this.#isClosed) throw new Error('the plugin is closed');
      await this.#options.onOpen(running.conversation);
      this.#isReady = !running.isOver;
      if (this.#isReady) this.#restarts.opened(running.conversation);
    } catch (error) {
      this.#end(running, 'the plugin does not load');
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#restarts.close();
    if (this.#running) this.#end(this.#running, 'the plugin is closed');
  }

  async #open(): Promise<Running> {
    const { code, limits, findHost, onIncident } = this.#options;
    const tellTrouble = (message: string): void =>
      onIncident({ kind: 'crash', message: `unhandled rejection: ${message}` });
    const startedMs = performance.now();
    const realm = await Realm.open({
      library: this.#library,
      code,
      memoryMb: limits.memoryMb,
      limitMs: Math.min(limits.timeoutMs, MAX_HOLD_MS),
      onTrouble: tellTrouble,
    });
    const conversation = new Conversation({
      send: (frame) => this.#send(running, frame),
      findHost,
      onFault: (error) => this.#lose(running, new IsolateLost('crash', error.message)),
      onTrouble: tellTrouble,
      onPong: () => undefined,
    });
    const running: Running = { realm, conversation, startedMs, isOver: false };
    return running;
  }

  #send(running: Running, frame: Frame): void {
    if (running.isOver) return;
    this.#startWatch();
    const { realm } = running;
    // What waits for a thread beside stays in its order.
    if (realm.isBusy || !QUICK.test(frame.text)) {
      realm.callBeside(frame, BESIDE_TIMEOUT_MS).then(
        (said) => this.#hear(running, said),
        (error: unknown) => this.#lose(running, error),
      );
      return;
    }
    try {
      this.#hear(running, realm.call(frame));
    } catch (error) {
      this.#lose(running, error);
      // Who waits for it is late; the others fail with the guest.
      if (error instanceof IsolateLost && error.kind === 'timeout' && HOOK.test(frame.text)) {
        throw new GuestTimeout(error.message);
      }
    }
  }

  #hear({ conversation }: Running, said: readonly Frame[]): void {
    for (const frame of said) conversation.receive(frame);
  }

  #startWatch(): void {
    this.#quietTicks = 0;
    this.#watch ??= setInterval(() => this.#look(), TICK_MS).unref();
  }

  #stopWatch(): void {
    clearInterval(this.#watch);
    this.#watch = undefined;
  }

  /** Hooks that wait for something outside are bounded as well. */
  #look(): void {
    const conversation = this.#running?.conversation;
    conversation?.expire(performance.now() - GRACE_MS);
    if (conversation?.oldestMs === undefined && ++this.#quietTicks > IDLE_TICKS) this.#stopWatch();
  }

  #lose(running: Running, error: unknown): void {
    if (running.isOver) return;
    const { kind, message } = error instanceof IsolateLost ? error : new IsolateLost('crash', String(error));
    const wasReady = this.#isReady;
    // After the pipeline has told of the hook that is late, which it does as soon as it is back.
    queueMicrotask(() => this.#options.onIncident({ kind, message }));
    this.#end(running, message);
    if (wasReady) this.#restarts.plan(running.startedMs);
  }

  #end(running: Running, reason: string): void {
    running.isOver = true;
    this.#isReady = false;
    this.#stopWatch();
    running.realm.close();
    running.conversation.close(reason);
  }
}
