// Waits until the live nodes run a revision.
// Must not decide what a node does with one.
import { AdminError } from './errors.ts';
import type { Database } from './store/database.ts';
import type { NodeListener } from './store/listener.ts';
import { listNodes, type NodePlugin, type NodeRow } from './store/nodes.ts';

/** How long a wait goes without asking again when no notice comes, in milliseconds: notices may get lost. */
const POLL_MS = 500;

/** Is what nodes are to run. */
export interface Awaited {
  readonly revision: number;
  /** An installed plugin that must run as it is wanted. */
  readonly plugin?: string | undefined;
}

/** Waits for nodes. */
export interface NodeWatch {
  /**
   * Resolves when every live node runs `revision` or a later one, and of `plugin` what is wanted.
   * @throws NODES_BEHIND after `waitMs`, or at once when only nodes that refused the revision are behind; `written` goes
   *   into the answer, because the write stays done.
   */
  waitFor(awaited: Awaited, waitMs: number, written?: unknown): Promise<void>;
}

/** Codes of problems that pass by themselves: the package, or the index, is on its way. */
const PASSING: ReadonlySet<string> = new Set(['PACKAGE_MISSING', 'INDEX_MISSING']);

/** Builds the watch over the nodes' own rows. */
export function createNodeWatch(database: Database, listener: NodeListener): NodeWatch {
  return {
    async waitFor(awaited, waitMs, written) {
      const deadline = performance.now() + waitMs;
      const hearing = await listener.subscribe();
      try {
        for (;;) {
          const heard = hearing.next();
          const behind = await findBehind(database, awaited);
          if (behind?.length === 0) return;
          const leftMs = deadline - performance.now();
          const isHopeless = behind?.every((node) => isStuck(node, awaited)) ?? false;
          if (leftMs <= 0 || isHopeless) throw buildRefusal(awaited, behind ?? [], written);
          await Promise.race([heard, sleep(Math.min(leftMs, POLL_MS))]);
        }
      } finally {
        hearing.close();
      }
    },
  };
}

/** Gives undefined while the database cannot say: the write is done, so that is no reason to call it failed. */
async function findBehind(database: Database, awaited: Awaited): Promise<readonly NodeRow[] | undefined> {
  try {
    const nodes = await database.run(listNodes);
    return nodes.filter((node) => node.isLive && (node.revision < awaited.revision || findFault(node, awaited)));
  } catch (error) {
    if (error instanceof AdminError && error.code === 'DATABASE_UNAVAILABLE') return undefined;
    throw error;
  }
}

/** Finds what keeps a node from running the plugin. A node that knows nothing of it does not run it yet. */
function findFault({ plugins }: NodeRow, { plugin }: Awaited): NodePlugin | undefined {
  return plugins.find((one) => one.plugin === plugin && one.problem !== null);
}

function isStuck(node: NodeRow, awaited: Awaited): boolean {
  if (node.revision < awaited.revision) return (node.refusal?.revision ?? 0) >= awaited.revision;
  const code = findFault(node, awaited)?.problem?.code;
  return code !== undefined && !PASSING.has(code);
}

function buildRefusal(awaited: Awaited, behind: readonly NodeRow[], written: unknown): AdminError {
  const { revision, plugin } = awaited;
  const names = behind.map((node) => node.name).join(', ') || 'nodes that could not be asked';
  const faults = behind.flatMap((node) => findFault(node, awaited) ?? []);
  const [fault] = faults;
  const why = fault === undefined ? '' : ` ${plugin} does not run: ${fault.problem?.message}.`;
  return new AdminError('NODES_BEHIND', `Revision ${revision} is written, but not yet in force on: ${names}.${why}`, {
    headers: { 'Sallyport-Revision': String(revision) },
    facts: {
      isWritten: true,
      revision,
      nodes: behind.map(({ id, name, revision: runs, refusal, plugins }) => ({
        ...{ id, name, revision: runs, refusal },
        ...(plugin === undefined ? {} : { plugins: plugins.filter((one) => one.plugin === plugin) }),
      })),
      // A secret that was made for this answer is shown only once, so it must not get lost.
      ...(written === undefined ? {} : { written }),
    },
  });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
