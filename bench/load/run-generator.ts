// Runs one of the harness's own load generators in a process of its own.
// Must not make load itself.
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { startProcess } from '../processes.ts';
import type { LoadPlan, LoadResult } from './load.ts';

/** Names what a generator process does. */
export type GeneratorName = 'socket-load' | 'http2-load' | 'websocket-load' | 'handshakes' | 'resumptions';

/** Is what a generator needs of a plan. */
export type LocalPlan = Omit<LoadPlan, 'core' | 'directory'>;

/** Gives the way to run one generator on the core of a plan. What it gives throws when the generator fails. */
export function buildGenerator(name: GeneratorName): (plan: LoadPlan) => Promise<LoadResult> {
  return async (plan) => {
    const script = fileURLToPath(new URL('./generator-main.js', import.meta.url));
    const child = startProcess([process.execPath, script, name], { core: plan.core });
    if (child.stdout === null) throw new Error('the load generator has no stdout');
    child.stdin?.end(JSON.stringify(plan));
    const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
    if (code !== 0) throw new Error(`the load generator ended with exit code ${code}`);
    return JSON.parse(output) as LoadResult;
  };
}
