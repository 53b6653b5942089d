// A worker's side of the credentials directory: answers at once what it found lately, else asks the node's keeper.
// Must not read a database or a disk.
import { GatewayError } from '../../core/errors.ts';
import type { Clock, CredentialFinder, Identity, MaybePromise } from '../../core/plugin.ts';
import { Absences } from './absences.ts';
import { IdentityTable } from './identity-table.ts';
import {
  type CredentialName,
  type DirectoryAnswer,
  type DirectoryMessage,
  type DirectoryQuestion,
  type Forget,
  MAX_LOOKUP_LENGTH,
  nameKey,
} from './messages.ts';

/** Describes `createDirectoryClient`. */
export interface DirectoryClientOptions {
  /** Hands a message to the keeper. Must not throw. */
  readonly send: (message: DirectoryQuestion) => void;
  readonly clock: Clock;
  /** Identities kept at hand. Default 100 000. */
  readonly maxIdentities?: number;
  /** Longest wait for the keeper. Default 2000. */
  readonly timeoutMs?: number;
}

/** Is a worker's directory with the wire to the keeper. */
export interface DirectoryClient extends CredentialFinder {
  onMessage(message: DirectoryMessage): void;
  /** Answers everyone who waits with CANNOT_VERIFY. */
  close(): void;
}

interface Waiter {
  readonly promise: Promise<Identity | undefined>;
  resolve(identity: Identity | undefined): void;
  reject(error: Error): void;
}

const MAX_IDENTITIES = 100_000;
const TIMEOUT_MS = 2_000;

/** Most different credentials waited for at once; past it the keeper is not keeping up, and waiting would not help. */
const MAX_WAITING = 10_000;

/** Questions in one message: the answers to them are parsed in about a millisecond. */
const MAX_ASKS = 200;

/** Builds a worker's directory. */
export function createDirectoryClient(options: DirectoryClientOptions): DirectoryClient {
  return new Client(options);
}

class Client implements DirectoryClient {
  readonly #options: DirectoryClientOptions;
  readonly #known: IdentityTable;
  readonly #absences: Absences;
  readonly #waiting = new Map<string, Waiter>();
  #outbox: CredentialName[] = [];
  #isClosed = false;

  constructor(options: DirectoryClientOptions) {
    this.#options = options;
    this.#known = new IdentityTable(options.maxIdentities ?? MAX_IDENTITIES);
    this.#absences = new Absences(options.clock);
  }

  findByCredential(type: string, lookup: string): MaybePromise<Identity | undefined> {
    if (lookup.length > MAX_LOOKUP_LENGTH) return undefined;
    const entry = this.#known.find(type, lookup);
    if (entry) return entry.identity;
    const key = nameKey([type, lookup]);
    if (this.#absences.has(key)) return undefined;
    return (this.#waiting.get(key) ?? this.#ask(key, [type, lookup])).promise;
  }

  onMessage(message: DirectoryMessage): void {
    if ('forget' in message) this.#forget(message.forget);
    else for (const answer of message.answers) this.#settle(answer);
  }

  close(): void {
    this.#isClosed = true;
    for (const key of [...this.#waiting.keys()]) this.#giveUp(key, 'the gateway is shutting down');
  }

  #ask(key: string, name: CredentialName): Waiter {
    if (this.#isClosed || this.#waiting.size >= MAX_WAITING)
      throw cannotVerify('too many credentials are being checked');
    const waiter = createWaiter();
    this.#waiting.set(key, waiter);
    // Everything that arrives in this turn of the loop goes in one message.
    if (this.#outbox.length === 0) setImmediate(() => this.#send());
    this.#outbox.push(name);
    return waiter;
  }

  #send(): void {
    const asks = this.#outbox;
    this.#outbox = [];
    for (let from = 0; from < asks.length; from += MAX_ASKS) {
      this.#options.send({ type: 'directory', asks: asks.slice(from, from + MAX_ASKS) });
    }
    const asked = asks.map((name) => [nameKey(name), this.#waiting.get(nameKey(name))] as const);
    const timer = setTimeout(() => {
      for (const [key, waiter] of asked) {
        // The same name may have been answered since, and asked again.
        if (waiter && this.#waiting.get(key) === waiter) this.#giveUp(key, 'credentials cannot be checked right now');
      }
    }, this.#options.timeoutMs ?? TIMEOUT_MS);
    timer.unref();
  }

  #settle({ name, result }: DirectoryAnswer): void {
    const key = nameKey(name);
    if (result === 'unavailable') {
      this.#giveUp(key, 'credentials cannot be checked right now');
      return;
    }
    const identity = result === 'absent' ? undefined : result;
    if (identity) this.#known.put(identity, 0);
    else this.#absences.add(key);
    this.#waiting.get(key)?.resolve(identity);
    this.#waiting.delete(key);
  }

  #giveUp(key: string, detail: string): void {
    this.#waiting.get(key)?.reject(cannotVerify(detail));
    this.#waiting.delete(key);
  }

  #forget(forget: Forget): void {
    this.#absences.clear();
    if (forget.isAll) {
      this.#known.clear();
      return;
    }
    for (const id of forget.consumers) this.#known.forgetConsumer(id);
    for (const id of forget.credentials) this.#known.forgetCredential(id);
  }
}

function createWaiter(): Waiter {
  let resolve: Waiter['resolve'] = () => undefined;
  let reject: Waiter['reject'] = () => undefined;
  const promise = new Promise<Identity | undefined>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  // A request that its client has left no longer waits; that must not end the process.
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}

function cannotVerify(detail: string): GatewayError {
  return new GatewayError('CANNOT_VERIFY', detail, { headers: { 'retry-after': '1' } });
}
