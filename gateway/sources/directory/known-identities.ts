// What a keeper knows of consumers and credentials, and how updates change it.
// Must not ask anybody, and must not decide what an absence means.
import type { Change, Consumer, Credential } from '../../core/model.ts';
import type { Identity } from '../../core/plugin.ts';
import { IdentityTable, type TableEntry } from './identity-table.ts';

/** Owns the identities of a node: all of them while `isComplete`, else those learnt one by one. */
export class KnownIdentities {
  /** True when everything is known as of the last update: what is not found does not exist. */
  isComplete = false;
  readonly #maxCredentials: number;
  readonly #table: IdentityTable;
  /** While complete, all consumers: a credential may come later than its consumer. */
  readonly #consumers = new Map<string, Consumer>();

  constructor(maxCredentials: number) {
    this.#maxCredentials = maxCredentials;
    this.#table = new IdentityTable(maxCredentials);
  }

  /** Is the number of credentials known. */
  get size(): number {
    return this.#table.size;
  }

  find(type: string, lookup: string): TableEntry | undefined {
    return this.#table.find(type, lookup);
  }

  /** Takes in one identity that was asked for. */
  learn(identity: Identity, epoch: number): void {
    this.#table.put(identity, epoch);
  }

  /** Takes in one entity of a whole list; a consumer comes before its credentials. */
  take(change: Change, epoch: number): void {
    if (change.kind === 'consumer' && change.after) this.#consumers.set(change.id, change.after);
    if (change.kind === 'credential' && change.after) this.#putCredential(change.after, epoch);
  }

  /** Applies what an update changes. What is not complete only forgets: it is asked for again when it is needed. */
  apply(changes: readonly Change[], epoch: number): void {
    // First all that goes, so that two credentials may swap their lookup value.
    for (const change of changes) {
      if (change.kind === 'credential') this.#table.forgetCredential(change.id);
      if (change.kind !== 'consumer') continue;
      if (change.after) this.#table.replaceConsumer(change.after);
      else this.#table.forgetConsumer(change.id);
      if (!change.after) this.#consumers.delete(change.id);
    }
    if (!this.isComplete) return;
    for (const change of changes) this.take(change, epoch);
    // One more would push the oldest out, and then an absence would prove nothing.
    this.isComplete = this.#table.size < this.#maxCredentials;
    if (!this.isComplete) this.#consumers.clear();
  }

  /** Walks all that is known, consumers before their credentials; it may change meanwhile. */
  *list(): Generator<Change> {
    // Also those who have no credential yet: one that comes later is written down without its consumer.
    for (const [id, after] of this.#consumers) yield { kind: 'consumer', id, after };
    for (const { consumer, credential } of this.#table.identities()) {
      if (!this.#consumers.has(consumer.id)) yield { kind: 'consumer', id: consumer.id, after: consumer };
      yield { kind: 'credential', id: credential.id, after: credential };
    }
  }

  #putCredential(credential: Credential, epoch: number): void {
    const consumer = this.#consumers.get(credential.consumerId);
    if (consumer) this.#table.put({ consumer, credential }, epoch);
  }
}
