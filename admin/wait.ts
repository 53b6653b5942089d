// Waits until the live nodes run a revision.
// Must not decide what a node does with one.
import { AdminError } from './errors.ts';
import type { Database } from './store/database.ts';
import type { NodeListener } from './store/listener.ts';
import { listNodes, type NodeRow } from './store/nodes.ts';

/** How long a wait goes without asking again when no notice comes, in milliseconds: notices may get lost. */
const POLL_MS = 500;

/** Waits for nodes. */
export interface NodeWatch {
  /**
   * Resolves when every live node runs `revision` or a later one.
   * @throws NODES_BEHIND after `waitMs`, or at once when only nodes that refused the revision are behind; `written` goes
   *   into the answer, because the write stays done.
   */
  waitFor(revision: number, waitMs: number, written?: unknown): Promise<void>;
}

/** Builds the watch over the nodes' own rows. */
export function createNodeWatch(database: Database, listener: NodeListener): NodeWatch {
  return {
    async waitFor(revision, waitMs, written) {
      const deadline = performance.now() + waitMs;
      const hearing = await listener.subscribe();
      try {
        for (;;) {
          const heard = hearing.next();
          const behind = await findBehind(database, revision);
          if (behind?.length === 0) return;
          const leftMs = deadline - performance.now();
          const isHopeless = behind?.every((node) => (node.refusal?.revision ?? 0) >= revision) ?? false;
          if (leftMs <= 0 || isHopeless) throw buildRefusal(revision, behind ?? [], written);
          await Promise.race([heard, sleep(Math.min(leftMs, POLL_MS))]);
        }
      } finally {
        hearing.close();
      }
    },
  };
}

/** Gives undefined while the database cannot say: the write is done, so that is no reason to call it failed. */
async function findBehind(database: Database, revision: number): Promise<readonly NodeRow[] | undefined> {
  try {
    const nodes = await database.run(listNodes);
    return nodes.filter((node) => node.isLive && node.revision < revision);
  } catch (error) {
    if (error instanceof AdminError && error.code === 'DATABASE_UNAVAILABLE') return undefined;
    throw error;
  }
}

function buildRefusal(revision: number, behind: readonly NodeRow[], written: unknown): AdminError {
  const names = behind.map((node) => node.name).join(', ') || 'nodes that could not be asked';
  return new AdminError('NODES_BEHIND', `Revision ${revision} is written, but not yet in force on: ${names}.`, {
    headers: { 'Sallyport-Revision': String(revision) },
    facts: {
      isWritten: true,
      revision,
      nodes: behind.map(({ id, name, revision: runs, refusal }) => ({ id, name, revision: runs, refusal })),
      // A secret that was made for this answer is shown only once, so it must not get lost.
      ...(written === undefined ? {} : { written }),
    },
  });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
