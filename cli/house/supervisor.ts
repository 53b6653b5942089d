// One child process of `sallyport start`: started, restarted when it crashes, stopped tidily.
// Must not know what the child does.
import { type ChildProcess, fork } from 'node:child_process';
import type { Clock, Logger } from '../../gateway/core/ports.ts';
import { LED_MARK, type ToChild, type ToParent } from './child.ts';

/** Describes a child. */
export interface ChildOptions {
  readonly name: string;
  readonly file: string;
  readonly words: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Past this after `stop` the child is killed. */
  readonly stopMs: number;
}

/** Is a child under supervision. */
export interface SupervisedChild {
  readonly pid: number | undefined;
  /** Gives the URLs of the first life. Rejects when the child ends before it was ready once: a restart would not help. */
  readonly ready: Promise<Readonly<Record<string, string>>>;
  /** Sends what every life of the child must hear at its start, now and at each restart. */
  begin(databaseUrl: string): void;
  send(message: ToChild): void;
  /** Ends the child tidily; resolves when it is gone. */
  stop(): Promise<void>;
  /** Ends it at once, and with it the processes that it leads; resolves when it is gone. */
  end(): Promise<void>;
}

const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5_000;
/** How long a child may take to end the processes that it leads, once it has to end at once. */
const END_MS = 1_000;
/** A child that lived this long was healthy: its next crash counts as the first. */
const HEALTHY_MS = 30_000;

/** Says how long to wait before a restart, from the wait before and how long the child lived. 100 ms doubling to 5 s. */
export function nextDelayMs(lastDelayMs: number, livedMs: number): number {
  if (livedMs >= HEALTHY_MS || lastDelayMs === 0) return FIRST_DELAY_MS;
  return Math.min(LONGEST_DELAY_MS, lastDelayMs * 2);
}

/** Says that a child ended before it was ever ready; it has said why on stderr itself. */
export class ChildFailure extends Error {
  override readonly name = 'ChildFailure';
}

/** Starts a child and keeps it running. */
export function superviseChild(options: ChildOptions): SupervisedChild {
  return new Supervisor(options);
}

class Supervisor implements SupervisedChild {
  readonly ready: Promise<Readonly<Record<string, string>>>;
  readonly #options: ChildOptions;
  #child: ChildProcess | undefined;
  #databaseUrl: string | undefined;
  #startedMs = 0;
  #delayMs = 0;
  #restart: NodeJS.Timeout | undefined;
  #isStopping = false;
  #wasReady = false;
  #onReady: (urls: Readonly<Record<string, string>>) => void = () => undefined;
  #onFailure: (error: Error) => void = () => undefined;

  constructor(options: ChildOptions) {
    this.#options = options;
    this.ready = new Promise((resolve, reject) => {
      this.#onReady = resolve;
      this.#onFailure = reject;
    });
    this.#start();
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  begin(databaseUrl: string): void {
    this.#databaseUrl = databaseUrl;
    this.send({ channel: 'begin', databaseUrl });
  }

  send(message: ToChild): void {
    // A broken channel is no error here: the exit event tells the same.
    if (this.#child?.connected) this.#child.send(message, () => undefined);
  }

  stop(): Promise<void> {
    return this.#finish('stop', this.#options.stopMs);
  }

  end(): Promise<void> {
    return this.#finish('end', END_MS);
  }

  /** Asks the child to go, and kills it past `ms`. */
  #finish(channel: 'stop' | 'end', ms: number): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#restart);
    const child = this.#child;
    if (child === undefined) return Promise.resolve();
    const killer = setTimeout(() => child.kill('SIGKILL'), ms);
    return new Promise<void>((resolve) => {
      child.once('exit', () => resolve());
      this.send({ channel });
    }).finally(() => clearTimeout(killer));
  }

  #start(): void {
    const { file, words, environment, clock } = this.#options;
    this.#startedMs = clock.monotonicMs();
    const child = fork(file, [...words], { env: { ...environment, [LED_MARK]: '1' } });
    this.#child = child;
    child.on('message', (message: ToParent) => {
      if (message.channel !== 'ready') return;
      this.#wasReady = true;
      this.#onReady(message.urls);
    });
    child.once('error', (error) => this.#onFailure(error));
    child.once('exit', (code, signal) => this.#bury(code, signal));
    if (this.#databaseUrl !== undefined) this.begin(this.#databaseUrl);
  }

  #bury(code: number | null, signal: NodeJS.Signals | null): void {
    const { name, clock, log } = this.#options;
    this.#child = undefined;
    if (this.#isStopping) return;
    if (!this.#wasReady) {
      this.#onFailure(new ChildFailure(`${name} did not start`));
      return;
    }

    this.#delayMs = nextDelayMs(this.#delayMs, clock.monotonicMs() - this.#startedMs);
    log.error('a process died and is started again', { name, code, signal, inMs: this.#delayMs });
    this.#restart = setTimeout(() => this.#start(), this.#delayMs);
  }
}
