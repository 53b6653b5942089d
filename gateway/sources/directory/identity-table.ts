// A bounded table of identities, found by name in constant time and forgotten by credential or consumer.
// Must not know where they come from.
import type { Consumer } from '../../core/model.ts';
import type { Identity } from '../../core/plugin.ts';

/** Is an identity with the epoch in which it was known to be true. */
export interface TableEntry {
  identity: Identity;
  readonly epoch: number;
  /** Was found since the hand last passed. */
  wasUsed: boolean;
}

/** Entries looked at to find one that was not used lately; if all were, the last of them goes. */
const MAX_LOOKED_AT = 64;

/** Owns identities; past its bound one goes that was not used for long. */
export class IdentityTable {
  readonly #maxEntries: number;
  /** By type, then by lookup: one key of both would have to be put together for every request. */
  readonly #byName = new Map<string, Map<string, TableEntry>>();
  readonly #byCredential = new Map<string, TableEntry>();
  readonly #byConsumer = new Map<string, Set<TableEntry>>();
  /** Goes round over the entries: who was used since it last passed may stay. An order of use would cost every request. */
  #hand: MapIterator<TableEntry> = this.#byCredential.values();

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  get size(): number {
    return this.#byCredential.size;
  }

  /** Finds by what a credential is named by, and counts as a use. */
  find(type: string, lookup: string): TableEntry | undefined {
    const entry = this.#byName.get(type)?.get(lookup);
    // Written only when it changes, so that finding does not make the memory of thousands of entries dirty.
    if (entry?.wasUsed === false) entry.wasUsed = true;
    return entry;
  }

  /** Takes an identity in, instead of any other of the same credential or name. */
  put(identity: Identity, epoch: number): void {
    const { credential, consumer } = identity;
    const { type, lookup } = credential;
    this.forgetCredential(credential.id);
    const ofType = this.#byName.get(type) ?? new Map<string, TableEntry>();
    this.#byName.set(type, ofType);
    this.#remove(ofType.get(lookup));
    const entry = { identity, epoch, wasUsed: false };
    ofType.set(lookup, entry);
    this.#byCredential.set(credential.id, entry);
    const ofConsumer = this.#byConsumer.get(consumer.id);
    if (ofConsumer) ofConsumer.add(entry);
    else this.#byConsumer.set(consumer.id, new Set([entry]));
    if (this.size > this.#maxEntries) this.#evict();
  }

  /** Forgets a credential, whatever it is found by. */
  forgetCredential(credentialId: string): void {
    this.#remove(this.#byCredential.get(credentialId));
  }

  /** Forgets every credential of a consumer. */
  forgetConsumer(consumerId: string): void {
    for (const entry of [...(this.#byConsumer.get(consumerId) ?? [])]) this.#remove(entry);
  }

  /** Puts a changed consumer in the place of the one known. */
  replaceConsumer(consumer: Consumer): void {
    for (const entry of this.#byConsumer.get(consumer.id) ?? []) entry.identity = { ...entry.identity, consumer };
  }

  /** Forgets all. */
  clear(): void {
    this.#byName.clear();
    this.#byCredential.clear();
    this.#byConsumer.clear();
  }

  /** Walks all identities; the table may change meanwhile. */
  *identities(): Generator<Identity> {
    for (const { identity } of this.#byCredential.values()) yield identity;
  }

  #evict(): void {
    for (let looked = 1; ; ) {
      const next = this.#hand.next();
      if (next.done) {
        this.#hand = this.#byCredential.values();
        continue;
      }
      const entry = next.value;
      if (!entry.wasUsed || looked === MAX_LOOKED_AT) {
        this.#remove(entry);
        return;
      }
      entry.wasUsed = false;
      looked++;
    }
  }

  #remove(entry: TableEntry | undefined): void {
    if (entry === undefined) return;
    const { credential, consumer } = entry.identity;
    this.#byName.get(credential.type)?.delete(credential.lookup);
    this.#byCredential.delete(credential.id);
    const ofConsumer = this.#byConsumer.get(consumer.id);
    ofConsumer?.delete(entry);
    if (ofConsumer?.size === 0) this.#byConsumer.delete(consumer.id);
  }
}
