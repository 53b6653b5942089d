// A bounded table of identities, found by name in constant time and forgotten by credential or consumer.
// Must not know where they come from.
import type { Consumer } from '../../core/model.ts';
import type { Identity } from '../../core/plugin.ts';
import { nameKey } from './messages.ts';

/** Is an identity with the epoch in which it was known to be true. */
export interface TableEntry {
  readonly identity: Identity;
  readonly epoch: number;
  /** Was found since the hand last passed. */
  wasUsed: boolean;
}

/** Entries looked at to find one that was not used lately; if all were, the last of them goes. */
const MAX_LOOKED_AT = 64;

/** Owns identities; past its bound one goes that was not used for long. */
export class IdentityTable {
  readonly #maxEntries: number;
  readonly #entries = new Map<string, TableEntry>();
  /** Goes round over the entries: who was used since it last passed may stay. An order of use would cost every request. */
  #hand: MapIterator<[string, TableEntry]> = this.#entries.entries();
  readonly #keyOfCredential = new Map<string, string>();
  readonly #keysOfConsumer = new Map<string, Set<string>>();

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Finds by the key of a name, and counts as a use. */
  find(key: string): TableEntry | undefined {
    const entry = this.#entries.get(key);
    // Written only when it changes, so that finding does not make the memory of thousands of entries dirty.
    if (entry?.wasUsed === false) entry.wasUsed = true;
    return entry;
  }

  /** Takes an identity in, instead of any other of the same credential or name. */
  put(identity: Identity, epoch: number): void {
    const { credential, consumer } = identity;
    const key = nameKey([credential.type, credential.lookup]);
    this.forgetCredential(credential.id);
    this.#remove(key);
    this.#entries.set(key, { identity, epoch, wasUsed: false });
    this.#keyOfCredential.set(credential.id, key);
    const keys = this.#keysOfConsumer.get(consumer.id);
    if (keys) keys.add(key);
    else this.#keysOfConsumer.set(consumer.id, new Set([key]));
    if (this.#entries.size > this.#maxEntries) this.#evict();
  }

  /** Forgets a credential, whatever it is found by. */
  forgetCredential(credentialId: string): void {
    const key = this.#keyOfCredential.get(credentialId);
    if (key !== undefined) this.#remove(key);
  }

  /** Forgets every credential of a consumer. */
  forgetConsumer(consumerId: string): void {
    for (const key of [...(this.#keysOfConsumer.get(consumerId) ?? [])]) this.#remove(key);
  }

  /** Puts a changed consumer in the place of the one known. */
  replaceConsumer(consumer: Consumer): void {
    for (const key of this.#keysOfConsumer.get(consumer.id) ?? []) {
      const entry = this.#entries.get(key);
      if (entry) this.#entries.set(key, { ...entry, identity: { ...entry.identity, consumer } });
    }
  }

  /** Forgets all. */
  clear(): void {
    this.#entries.clear();
    this.#keyOfCredential.clear();
    this.#keysOfConsumer.clear();
  }

  /** Walks all identities; the table may change meanwhile. */
  *identities(): Generator<Identity> {
    for (const { identity } of this.#entries.values()) yield identity;
  }

  #evict(): void {
    for (let looked = 1; ; ) {
      const next = this.#hand.next();
      if (next.done) {
        this.#hand = this.#entries.entries();
        continue;
      }
      const [key, entry] = next.value;
      if (!entry.wasUsed || looked === MAX_LOOKED_AT) {
        this.#remove(key);
        return;
      }
      entry.wasUsed = false;
      looked++;
    }
  }

  #remove(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    const { credential, consumer } = entry.identity;
    this.#entries.delete(key);
    this.#keyOfCredential.delete(credential.id);
    const keys = this.#keysOfConsumer.get(consumer.id);
    keys?.delete(key);
    if (keys?.size === 0) this.#keysOfConsumer.delete(consumer.id);
  }
}
