// Looks at what nodes say of themselves: which revision and which version every worker runs, what is set aside.
// Must not change anything.
import { setTimeout as wait } from 'node:timers/promises';
import type { SallyportInstance } from '../../contenders/sallyport-instance.ts';

const LOOK_MS = 50;
const PATIENCE_MS = 30_000;

interface NodePlugin {
  readonly plugin: string;
  readonly wanted: string;
  readonly running: string | null;
  readonly problem: { readonly code: string; readonly message: string } | null;
}

interface Node {
  readonly name: string;
  readonly isLive: boolean;
  readonly revision: number;
  readonly workers: readonly { readonly pid: number; readonly revision: number }[];
  readonly plugins: readonly NodePlugin[];
}

/** Is what every node is to have come to. */
export interface WantedState {
  readonly nodes: number;
  readonly workersPerNode: number;
  readonly plugin: string;
  /** Undefined = it is installed no more. */
  readonly version: string | undefined;
}

async function listNodes({ ask }: SallyportInstance): Promise<readonly Node[]> {
  const { data } = (await ask('GET', '/v1/nodes')) as { readonly data: readonly Node[] };
  return data.filter(({ isLive }) => isLive);
}

/** Gives the process ids of all workers that serve. */
export async function listWorkers(instance: SallyportInstance): Promise<readonly number[]> {
  return (await listNodes(instance)).flatMap(({ workers }) => workers.map(({ pid }) => pid)).sort();
}

/** Waits until every worker of every node runs the newest revision, and with it what is wanted. @throws Error when that does not come */
export async function awaitState(instance: SallyportInstance, wanted: WantedState): Promise<void> {
  const newest = (await instance.ask('GET', '/v1/revisions?limit=1')) as {
    readonly data: readonly { number: number }[];
  };
  const revision = newest.data[0]?.number ?? 0;
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const nodes = await listNodes(instance);
    if (nodes.length === wanted.nodes && nodes.every((node) => isThere(node, revision, wanted))) return;
    if (performance.now() > deadline) throw new Error(`nodes do not come to it: ${JSON.stringify(nodes)}`);
    await wait(LOOK_MS);
  }
}

function isThere(node: Node, revision: number, { workersPerNode, plugin, version }: WantedState): boolean {
  const isCurrent = node.revision >= revision && node.workers.every((worker) => worker.revision >= revision);
  const found = node.plugins.find((one) => one.plugin === plugin);
  const runs = version === undefined ? !found : found?.running === version && found.problem === null;
  return isCurrent && runs && node.workers.length === workersPerNode;
}

/** Counts the workers that have put a binding of the plugin aside, by the metrics of the node. */
export async function countAside({ urls }: SallyportInstance, plugin: string): Promise<number> {
  const text = await (await fetch(`${urls.status}/metrics`)).text();
  const lines = text
    .split('\n')
    .filter((line) => line.startsWith('sallyport_plugin_aside{') && line.includes(`"${plugin}"`));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

/** Waits until something is so; gives how long it took, in milliseconds; undefined = longer than the patience. */
export async function awaitTrue(isSo: () => Promise<boolean>, patienceMs: number): Promise<number | undefined> {
  const from = performance.now();
  while (!(await isSo())) {
    if (performance.now() - from > patienceMs) return undefined;
    await wait(LOOK_MS);
  }
  return performance.now() - from;
}
