// The metrics of a node: what the workers count, summed, and what the keeper sees itself.
// Must not write a wire format.
import type { FamilyData } from '../../../ops/metrics.ts';
import { createTotals, type Totals } from '../../../ops/totals.ts';
import { LAST_METRICS, type ToKeeper } from '../messages.ts';
import type { Member } from './member.ts';

type MetricsMessage = Extract<ToKeeper, { readonly channel: 'metrics' }>;

interface Inbox {
  readonly id: number;
  readonly families: FamilyData[];
  done(): void;
}

/** A worker that does not answer a scrape by then is shown as it was at the last one. */
const ANSWER_TIMEOUT_MS = 1_000;

/** Gathers what the workers of a node count. */
export class NodeMetrics {
  readonly #totals: Totals = createTotals();
  readonly #inboxes = new Map<Member, Inbox>();
  #lastId = LAST_METRICS;
  #reading: Promise<readonly FamilyData[]> | undefined;

  /** Takes a piece of what a worker counts. */
  hear(member: Member, { id, family }: MetricsMessage): void {
    let inbox = this.#inboxes.get(member);
    if (id === LAST_METRICS && inbox?.id !== id) {
      inbox?.done();
      inbox = { id, families: [], done: () => undefined };
      this.#inboxes.set(member, inbox);
    }
    if (inbox?.id !== id) return;
    if (family !== null) inbox.families.push(family);
    else {
      this.#totals.replace(nameOf(member), inbox.families);
      this.#inboxes.delete(member);
      inbox.done();
    }
  }

  /** Keeps the counts of a worker that is gone. */
  retire(member: Member): void {
    this.#inboxes.get(member)?.done();
    this.#inboxes.delete(member);
    this.#totals.retire(nameOf(member));
  }

  /** Asks all workers and gives the sums. Scrapes at the same time share one answer. */
  read(members: Iterable<Member>): Promise<readonly FamilyData[]> {
    this.#reading ??= this.#readNow([...members]).finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #readNow(members: readonly Member[]): Promise<readonly FamilyData[]> {
    await Promise.all(members.map((member) => this.#ask(member)));
    return this.#totals.families();
  }

  #ask(member: Member): Promise<void> {
    if (member.state === 'booting' || member.state === 'gone') return Promise.resolve();
    const id = ++this.#lastId;
    return new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ANSWER_TIMEOUT_MS);
      const done = (): void => {
        clearTimeout(timer);
        resolve();
      };
      this.#inboxes.set(member, { id, families: [], done });
      member.send({ channel: 'metrics', id });
    });
  }
}

function nameOf(member: Member): string {
  return String(member.worker.id);
}
