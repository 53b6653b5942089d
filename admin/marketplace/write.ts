// One write of the marketplace: alone, in one transaction, with its audit; a dry run is taken back.
// Must not know what is written.
import type { Answer, Call } from '../call.ts';
import { showChanges } from '../document/diff.ts';
import { writeAudit } from '../store/audit.ts';
import type { Knex } from '../store/database.ts';
import { lockMarketplace } from '../store/marketplace/lock.ts';

/** Says what was changed. */
export interface MarketplaceEvent {
  readonly kind: 'publisher' | 'publisher-key' | 'version' | 'bundle';
  readonly id: string;
  readonly verb: 'create' | 'update' | 'delete';
  /** Such as `version.approve`. */
  readonly action: string;
  readonly diff: readonly { readonly pointer: string; readonly before?: unknown; readonly after?: unknown }[];
}

/** Is what a write did and answers. */
export interface MarketplaceWrite {
  readonly answer: Answer;
  /** Absent when there was nothing to do. */
  readonly event?: MarketplaceEvent;
  /** What a dry run shows beside the diff. */
  readonly preview?: Readonly<Record<string, unknown>>;
}

/** Writes what `change` does. The marketplace is no part of the document: it makes no revision. */
export async function writeMarketplace(
  call: Call,
  change: (transaction: Knex.Transaction) => Promise<MarketplaceWrite>,
): Promise<Answer> {
  const isDryRun = call.query.dryRun === true;
  return await call.services.database.transaction(async (transaction) => {
    await lockMarketplace(transaction);
    const { answer, event, preview } = await change(transaction);
    if (event !== undefined && !isDryRun) {
      const { action, kind, id, diff } = event;
      await writeAudit(transaction, [{ actor: call.actor.name, action, kind, id, revision: null, diff }]);
    }
    if (!isDryRun) return { value: answer, isKept: true };
    const changes =
      event === undefined
        ? []
        : [{ kind: event.kind, id: event.id, name: event.id, action: event.verb, diff: event.diff }];
    return { value: { body: { isDryRun, ...showChanges(changes), problems: [], ...preview } }, isKept: false };
  });
}
