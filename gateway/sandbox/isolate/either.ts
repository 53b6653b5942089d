// Keeps a guest in an isolate while that is allowed, and in a process of its own else; changes while traffic flows.
// Must not know why isolates are off.
import type { Conversation } from '../conversation.ts';
import type { GuestKeeper, KeeperOptions } from '../keeper.ts';
import { superviseChild } from '../process/supervisor.ts';
import type { IsolateGate } from './gate.ts';
import { keepIsolate } from './keeper.ts';
import type { IsolateLibrary } from './library.ts';

/** How long hooks in flight may finish in the guest that is left. */
const LEAVE_MS = 2_000;
const LEAVE_TICK_MS = 25;
/** How long to wait before a change that failed is tried again. */
const RETRY_MS = 5_000;

/** Keeps a guest in one or the other. @throws Error when it does not load */
export async function keepEither(
  library: IsolateLibrary,
  gate: IsolateGate,
  options: KeeperOptions,
): Promise<GuestKeeper> {
  const keeper = new EitherKeeper(library, gate, options);
  await keeper.open();
  return keeper;
}

interface Current {
  readonly keeper: GuestKeeper;
  readonly isIsolate: boolean;
}

class EitherKeeper implements GuestKeeper {
  readonly #library: IsolateLibrary;
  readonly #gate: IsolateGate;
  readonly #options: KeeperOptions;
  readonly #stopListening: () => void;
  #current: Current | undefined;
  #changing: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(library: IsolateLibrary, gate: IsolateGate, options: KeeperOptions) {
    this.#library = library;
    this.#gate = gate;
    this.#options = options;
    this.#stopListening = gate.onChange(() => this.#follow());
  }

  get conversation(): Conversation | undefined {
    return this.#current?.keeper.conversation;
  }

  /** Set-ups wait for a change that is under way, or the new guest might not hear of them. */
  async whenOpen(): Promise<Conversation> {
    await this.#changing;
    if (!this.#current) throw new Error('the plugin is closed');
    return this.#current.keeper.whenOpen();
  }

  async open(): Promise<void> {
    try {
      this.#current = await this.#make();
    } catch (error) {
      this.#stopListening();
      throw error;
    }
    this.#follow();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopListening();
    clearTimeout(this.#retry);
    await this.#changing;
    await this.#leave(this.#current);
    this.#current = undefined;
  }

  async #make(): Promise<Current> {
    if (this.#gate.isOff) return { keeper: await superviseChild(this.#options), isIsolate: false };
    this.#gate.count(1);
    try {
      return { keeper: await keepIsolate(this.#library, this.#options), isIsolate: true };
    } catch (error) {
      this.#gate.count(-1);
      throw error;
    }
  }

  #follow(): void {
    clearTimeout(this.#retry);
    if (this.#isClosed || this.#changing || !this.#current) return;
    if (this.#current.isIsolate !== this.#gate.isOff) return;
    this.#changing = this.#change().finally(() => {
      this.#changing = undefined;
      // It may have changed again meanwhile; what failed is tried later.
      if (this.#current?.isIsolate === this.#gate.isOff) {
        this.#retry = setTimeout(() => this.#follow(), RETRY_MS).unref();
      }
    });
  }

  /** Opens the other beside, so that no request finds nobody, and then leaves this one. Never rejects. */
  async #change(): Promise<void> {
    const before = this.#current;
    try {
      this.#current = await this.#make();
    } catch (error) {
      const message = `the plugin could not be moved: ${error instanceof Error ? error.message : String(error)}`;
      this.#options.onIncident({ kind: 'crash', message });
      return;
    }
    void this.#finish(before);
  }

  async #finish(before: Current | undefined): Promise<void> {
    for (let waitedMs = 0; waitedMs < LEAVE_MS && !this.#isClosed; waitedMs += LEAVE_TICK_MS) {
      if (before?.keeper.conversation?.oldestMs === undefined) break;
      await new Promise((resolve) => setTimeout(resolve, LEAVE_TICK_MS).unref());
    }
    await this.#leave(before);
  }

  async #leave(left: Current | undefined): Promise<void> {
    if (!left) return;
    await left.keeper.close();
    if (left.isIsolate) this.#gate.count(-1);
  }
}
