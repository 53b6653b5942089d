// One guest, spoken to: numbers messages, pairs answers with them, serves the guest's calls and notes.
// Must not believe what comes back, nor know how it travels.
import type { Host, MaybePromise } from '../core/plugin.ts';
import { ProtocolError } from './effects.ts';
import { readGuestError, writeError } from './errors.ts';
import type { GuardedExchange } from './guard.ts';
import { type Frame, MAX_NOTES, type ToGuest } from './messages.ts';
import { type Asker, answerCall, takeNote } from './service.ts';

/** Most messages that wait for one guest; who is slower than that is of no use to anybody. */
const MAX_PENDING = 1_024;
/** Most calls of one guest that are served at a time. */
const MAX_CALLS = 256;

/** What a guest may say for each message that it gets, in units of a short message; who is not asked has little to say. */
const WORDS_PER_MESSAGE = 64;
const MAX_WORDS: number = 64 * 1_024;
/** Beyond this many more than it may, it is not to be listened to. */
const MAX_DEBT = 10_000;
const BYTES_PER_WORD = 4_096;

/** Is the answer to a message, as it came. */
export interface Reply {
  readonly value: unknown;
  readonly effects: unknown;
  readonly blobs: readonly Uint8Array[];
}

/** Is one message that waits for its answer. */
interface Pending {
  readonly startedMs: number;
  readonly untilMs: number;
  readonly exchange: GuardedExchange | undefined;
  /** Came before anybody could wait. */
  outcome?: Reply | Error;
  settle?(outcome: Reply | Error): void;
}

/** Says that a guest did not answer in its time. */
export class GuestTimeout extends Error {
  override readonly name = 'GuestTimeout';
}

/** Says that a guest is gone, or not there yet. */
export class GuestGone extends Error {
  override readonly name = 'GuestGone';
}

/** Is what a conversation needs. */
export interface ConversationOptions {
  /** Carries a message; its answer comes later. */
  send(frame: Frame): void;
  /** Gives the host of a set-up. */
  findHost(instance: number): Host | undefined;
  /** Hears of what a guest did against the rules; the guest is not to be trusted any more. */
  onFault(error: ProtocolError): void;
  /** Hears of a rejection that nobody in the guest handled. */
  onTrouble(message: string): void;
  onPong(): void;
}

/** Speaks with one guest until it is gone. */
export class Conversation {
  readonly #options: ConversationOptions;
  readonly #pending: Map<number, Pending> = new Map();
  #lastId = 0;
  #calls = 0;
  #words: number = WORDS_PER_MESSAGE;
  #end: Error | undefined;

  constructor(options: ConversationOptions) {
    this.#options = options;
  }

  /** When the message began that waits longest; undefined = none waits. Monotonic milliseconds. */
  get oldestMs(): number | undefined {
    for (const { startedMs } of this.#pending.values()) return startedMs;
    return undefined;
  }

  nextId(): number {
    return ++this.#lastId;
  }

  /** Says what wants no answer. */
  tell(message: ToGuest): void {
    if (!this.#end) this.#options.send({ text: JSON.stringify(message), blobs: [] });
  }

  /**
   * Sends a message and gives its answer: at once, when it comes while the message is sent, else later.
   *
   * @throws GuestGone, GuestTimeout, or what the guest threw
   */
  ask(
    message: ToGuest & readonly [string, number, ...unknown[]],
    options: { readonly timeoutMs: number; readonly exchange?: GuardedExchange; readonly blob?: Uint8Array },
  ): MaybePromise<Reply> {
    if (this.#end) throw this.#end;
    if (this.#pending.size >= MAX_PENDING) throw new GuestGone('too many requests wait for the plugin');
    const startedMs = performance.now();
    const { exchange, blob, timeoutMs } = options;
    this.#words = Math.min(this.#words + WORDS_PER_MESSAGE, MAX_WORDS);
    const pending: Pending = { startedMs, untilMs: startedMs + timeoutMs, exchange };
    this.#pending.set(message[1], pending);
    try {
      this.#options.send({ text: JSON.stringify(message), blobs: blob ? [blob] : [] });
    } catch (error) {
      this.#pending.delete(message[1]);
      throw error;
    }
    const { outcome } = pending;
    if (outcome instanceof Error) throw outcome;
    if (outcome) return outcome;
    return new Promise((resolve, reject) => {
      pending.settle = (later) => (later instanceof Error ? reject(later) : resolve(later));
    });
  }

  /** Takes one message of the guest. */
  receive({ text, blobs }: Frame): void {
    if (this.#end) return;
    this.#words -= 1 + Math.floor(text.length / BYTES_PER_WORD);
    try {
      if (this.#words < -MAX_DEBT) throw new ProtocolError('the plugin talks without being asked');
      const message: unknown = JSON.parse(text);
      if (!Array.isArray(message)) throw new ProtocolError('expected a message');
      this.#take(message, blobs);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#options.onFault(error instanceof ProtocolError ? error : new ProtocolError(reason));
    }
  }

  /** Ends what has waited too long; says whether anything had. */
  expire(nowMs: number): boolean {
    let hasExpired = false;
    for (const [id, { untilMs }] of this.#pending) {
      if (nowMs < untilMs) continue;
      hasExpired = true;
      this.#settle(id, new GuestTimeout('the plugin took too long'));
    }
    return hasExpired;
  }

  /** Ends all that waits: the guest is gone. */
  close(reason: string): void {
    if (this.#end) return;
    this.#end = new GuestGone(reason);
    for (const id of [...this.#pending.keys()]) this.#settle(id, this.#end);
  }

  #take(message: readonly unknown[], blobs: readonly Uint8Array[]): void {
    const [kind, id] = message;
    switch (kind) {
      case 'done':
        this.#takeNotes(message[4]);
        this.#settle(id, { value: message[2], effects: message[3], blobs });
        return;
      case 'failed':
        this.#takeNotes(message[3]);
        this.#settle(id, readGuestError(message[2]));
        return;
      case 'call':
        return void this.#serve(message, blobs);
      case 'notes':
        this.#takeNotes(id);
        return;
      case 'trouble':
        if (this.#words >= 0) this.#options.onTrouble(String(id).slice(0, 500));
        return;
      case 'pong':
        this.#options.onPong();
        return;
      default:
        throw new ProtocolError('a message of no known kind');
    }
  }

  // An id that nobody waits for is one that has expired, or made up; neither does anything.
  #settle(id: unknown, outcome: Reply | Error): void {
    const pending = typeof id === 'number' ? this.#pending.get(id) : undefined;
    if (!pending) return;
    this.#pending.delete(id as number);
    const isLate = !(outcome instanceof Error) && performance.now() > pending.untilMs;
    pending.outcome = isLate ? new GuestTimeout('the plugin took too long') : outcome;
    pending.settle?.(pending.outcome);
  }

  #takeNotes(notes: unknown): void {
    if (!Array.isArray(notes)) throw new ProtocolError('expected a list of notes');
    if (this.#words < 0) return;
    for (const note of notes.slice(0, MAX_NOTES)) takeNote(note, this.#options.findHost);
  }

  async #serve(message: readonly unknown[], blobs: readonly Uint8Array[]): Promise<void> {
    const [, call, instance, of, name, args] = message;
    if (typeof call !== 'number' || !Array.isArray(args)) throw new ProtocolError('expected a call');
    const asker: Asker = {
      host: typeof instance === 'number' ? this.#options.findHost(instance) : undefined,
      exchange: typeof of === 'number' ? this.#pending.get(of)?.exchange : undefined,
    };
    try {
      if (this.#calls >= MAX_CALLS || this.#words < 0) throw new Error('too many calls are in flight');
      this.#calls++;
      const { value, bytes } = await answerCall(asker, { name, args, bytes: blobs[0] }).finally(() => this.#calls--);
      this.#answer(['answer', call, true, value ?? null], bytes);
    } catch (error) {
      this.#answer(['answer', call, false, writeError(error)], undefined);
    }
  }

  #answer(message: ToGuest, bytes: Uint8Array | undefined): void {
    if (!this.#end) this.#options.send({ text: JSON.stringify(message), blobs: bytes ? [bytes] : [] });
  }
}
