// Keeps one child process alive for one plugin version: starts, watches, kills and starts it again.
// Must not know hooks or exchanges: it carries a conversation.

import { Conversation } from '../conversation.ts';
import type { GuestKeeper, KeeperOptions } from '../keeper.ts';
import { MAX_BLOB_BYTES, MAX_TEXT_BYTES } from '../messages.ts';
import { Restarts } from '../restarts.ts';
import { checkCode, readGuestSources } from '../sources.ts';
import { FrameReader, writeFrame } from './framing.ts';
import { type Footprint, type Launched, launch, readFootprint, toDataKb, toRssKb } from './launch.ts';

/** Longest that a child may take from its start until its plugin is loaded. */
const LOAD_TIMEOUT_MS = 10_000;
/** Longest that a child may not answer a ping before it is taken for blocked; shorter would hit one that waits for a core. */
const DEAF_MS = 50;
/** The pipeline counts the time of a hook as well, and is let come first: it knows the fail policy. */
const GRACE_MS = 20;
const MIN_TICK_MS = 5;
const MAX_TICK_MS = 50;
/** Ticks without work after which nobody looks any more. */
const IDLE_TICKS = 20;
/** Most bytes on their way to a child that does not read. */
const MAX_QUEUED_BYTES: number = 32 * 1024 * 1024;

/** Memory of a child before it has loaded anything; the same for all of this process. */
let idle: Promise<Footprint | undefined> | undefined;

/** Starts a child and gives its keeper when the plugin is loaded. @throws Error when it does not load */
export async function superviseChild(options: KeeperOptions): Promise<GuestKeeper> {
  checkCode(options.code);
  idle ??= measureIdle();
  const supervisor = new Supervisor(options, await idle);
  await supervisor.start();
  return supervisor;
}

/** Measures a child that was only started: what Node reserves differs by version, and limits come on top of it. */
async function measureIdle(): Promise<Footprint | undefined> {
  const launched = launch(1, 0);
  try {
    await new Promise<void>((resolve, reject) => {
      launched.channel.once('data', () => resolve());
      launched.child.once('error', reject);
      launched.child.once('exit', () => reject(new Error(`no child process can be started: ${launched.lastWords()}`)));
    });
    return readFootprint(launched.child.pid);
  } catch (error) {
    idle = undefined;
    throw error;
  } finally {
    launched.kill();
  }
}

interface Running {
  readonly launched: Launched;
  readonly conversation: Conversation;
  readonly startedMs: number;
  /** Says that its end is known and told. */
  isOver: boolean;
}

class Supervisor implements GuestKeeper {
  readonly #options: KeeperOptions;
  readonly #idle: Footprint | undefined;
  readonly #restarts: Restarts;
  #running: Running | undefined;
  #isReady = false;
  #watch: NodeJS.Timeout | undefined;
  #quietTicks = 0;
  #pingedMs: number | undefined;
  /** Says that something has waited too long since the last sign of life. */
  #isLate = false;

  constructor(options: KeeperOptions, idleFootprint: Footprint | undefined) {
    this.#options = options;
    this.#idle = idleFootprint;
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

  /** Starts a child and loads the plugin. @throws Error when it does not load */
  async start(): Promise<void> {
    const running = this.#launch();
    this.#running = running;
    try {
      await this.#load(running);
      await this.#options.onOpen(running.conversation);
      this.#isReady = !running.isOver;
      if (this.#isReady) this.#restarts.opened(running.conversation);
    } catch (error) {
      this.#end(running, 'the plugin does not load');
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#restarts.close();
    if (this.#running) this.#end(this.#running, 'the plugin is closed');
  }

  #launch(): Running {
    const { memoryMb } = this.#options.limits;
    const launched = launch(memoryMb, toDataKb(this.#idle, memoryMb));
    const { channel, child } = launched;
    const conversation = new Conversation({
      send: (frame) => {
        if (channel.writableLength > MAX_QUEUED_BYTES) throw new RangeError('the plugin does not read');
        this.#startWatch();
        write(channel, writeFrame(frame));
      },
      findHost: this.#options.findHost,
      onFault: (error) => this.#kill(running, 'crash', error.message),
      onTrouble: (message) => this.#options.onIncident({ kind: 'crash', message: `unhandled rejection: ${message}` }),
      onPong: () => this.#resetWatch(),
    });
    const running: Running = { launched, conversation, startedMs: performance.now(), isOver: false };
    const onEnd = (how: string): void => this.#onExit(running, how);
    child.once('exit', (code, signal) => onEnd(signal ?? `exit code ${code}`));
    child.once('error', (error) => onEnd(error.message));
    return running;
  }

  #load({ launched, conversation }: Running): Promise<void> {
    const { channel, child } = launched;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('the plugin took too long to load')), LOAD_TIMEOUT_MS);
      const give = (settle: () => void): void => {
        clearTimeout(timer);
        settle();
      };
      child.once('exit', () =>
        give(() => reject(new Error(`the process of the plugin ended: ${findWords(launched)}`))),
      );
      let isLoaded = false;
      const reader = new FrameReader({ maxTextBytes: MAX_TEXT_BYTES, maxBlobBytes: MAX_BLOB_BYTES }, (frame) => {
        if (isLoaded) return conversation.receive(frame);
        // Nothing of the plugin's has run before `ready`, and nothing that it says comes before `loaded`.
        const [kind, message] = JSON.parse(frame.text) as readonly string[];
        if (kind === 'ready') write(channel, writeFrame({ text: this.#buildLoad(), blobs: [] }));
        if (kind === 'broken') give(() => reject(new Error(message)));
        if (kind === 'loaded') {
          isLoaded = true;
          give(resolve);
        }
      });
      channel.on('data', (bytes: Buffer) => {
        try {
          reader.feed(bytes);
        } catch (error) {
          const reason = error instanceof Error ? error.message : 'it cannot be read';
          channel.destroy();
          if (this.#running) this.#kill(this.#running, 'crash', `the process of the plugin sent nonsense: ${reason}`);
        }
      });
    });
  }

  #buildLoad(): string {
    return JSON.stringify({ ...readGuestSources(), code: this.#options.code });
  }

  #startWatch(): void {
    this.#quietTicks = 0;
    if (this.#watch) return;
    const tickMs = Math.min(Math.max(this.#options.limits.timeoutMs / 4, MIN_TICK_MS), MAX_TICK_MS);
    this.#watch = setInterval(() => this.#look(), tickMs).unref();
  }

  #stopWatch(): void {
    clearInterval(this.#watch);
    this.#watch = undefined;
    this.#resetWatch();
  }

  #resetWatch(): void {
    this.#pingedMs = undefined;
    this.#isLate = false;
  }

  #look(): void {
    const running = this.#running;
    if (!running || running.isOver) {
      this.#stopWatch();
      return;
    }
    const { timeoutMs, memoryMb } = this.#options.limits;
    const { conversation, launched } = running;
    const rssKb = readFootprint(launched.child.pid)?.rssKb ?? 0;
    if (rssKb > toRssKb(this.#idle, memoryMb)) {
      this.#kill(running, 'memory', `the process of the plugin took ${Math.round(rssKb / 1024)} MB`);
      return;
    }
    const nowMs = performance.now();
    const oldestMs = conversation.oldestMs;
    if (oldestMs === undefined && ++this.#quietTicks > IDLE_TICKS) {
      this.#stopWatch();
      return;
    }
    if (this.#pingedMs === undefined && oldestMs !== undefined && nowMs - oldestMs > timeoutMs / 2) {
      this.#pingedMs = nowMs;
      conversation.tell(['ping', 0]);
    }
    if (conversation.expire(nowMs - GRACE_MS)) this.#isLate = true;
    if (this.#isLate && this.#pingedMs !== undefined && nowMs - this.#pingedMs > DEAF_MS) {
      // It may have answered while we were busy: what has arrived is read first.
      setImmediate(() => setImmediate(() => this.#killIfDeaf(running)));
    }
  }

  #killIfDeaf(running: Running): void {
    if (this.#pingedMs === undefined || running.isOver) return;
    this.#kill(running, 'timeout', 'the plugin held its process longer than its time limit');
  }

  #kill(running: Running, kind: 'crash' | 'timeout' | 'memory', message: string): void {
    if (running.isOver) return;
    this.#options.onIncident({ kind, message });
    this.#end(running, message);
    this.#restarts.plan(running.startedMs);
  }

  #onExit(running: Running, how: string): void {
    if (running.isOver) return;
    const words = findWords(running.launched);
    const isMemory = /heap out of memory|Committing semi space|allocation failed|process out of memory/i.test(words);
    const message = `the process of the plugin ended (${how})${words && `: ${words}`}`;
    if (this.#isReady) this.#options.onIncident({ kind: isMemory ? 'memory' : 'crash', message });
    const wasReady = this.#isReady;
    this.#end(running, 'the process of the plugin ended');
    if (wasReady) this.#restarts.plan(running.startedMs);
  }

  #end(running: Running, reason: string): void {
    running.isOver = true;
    this.#isReady = false;
    this.#stopWatch();
    running.launched.kill();
    running.launched.channel.destroy();
    running.conversation.close(reason);
  }
}

/** Finds what an ending process said of its end. */
function findWords(launched: Launched): string {
  const lines = launched.lastWords().split('\n');
  return (lines.find((line) => /FATAL|Error/.test(line)) ?? lines.find((line) => line !== '') ?? '').slice(0, 300);
}

const corked = new WeakSet<object>();

/** Writes in one go what is said in one turn. */
function write(channel: Launched['channel'], bytes: Buffer): void {
  if (!corked.has(channel)) {
    corked.add(channel);
    channel.cork();
    process.nextTick(() => {
      corked.delete(channel);
      channel.uncork();
    });
  }
  channel.write(bytes);
}
