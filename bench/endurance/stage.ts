// Sets a case up: a real Sallyport with one worker on its core, the harness and the upstreams on the other.
// Must not know a case.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startSallyport } from '../contenders/sallyport-instance.ts';
import { type Cores, isRunning, pinPids } from '../processes.ts';
import { type EnduranceCase, judgeMost, type Stage, type Verdict } from './case.ts';
import type { EnduranceOptions } from './options.ts';

/** Is what every case of a run shares. */
export interface StageOptions {
  readonly options: EnduranceOptions;
  readonly cores: Cores;
  readonly directory: string;
  /** What has been opened, to be closed in reverse. */
  readonly closers: (() => Promise<unknown> | unknown)[];
  say(line: string): void;
}

/** Runs a case, and closes what it has opened. */
export async function runCase(enduranceCase: EnduranceCase, shared: StageOptions): Promise<readonly Verdict[]> {
  const { name, env = {}, isUnpinned = false, mayLoseProcesses = false } = enduranceCase;
  const { cores, closers } = shared;
  const directory = join(shared.directory, name);
  mkdirSync(directory);
  if (!isUnpinned) pinPids([process.pid], cores.load);
  const defer: Stage['defer'] = (close) => closers.push(close);
  try {
    const prepared = (await enduranceCase.prepare?.({ directory, defer })) ?? {};
    const instance = await startSallyport({ directory, env: { ...env, ...prepared } });
    closers.push(() => instance.close());
    if (!isUnpinned) instance.pin(cores);
    const port = Number(new URL(instance.urls.proxy).port);
    const stage: Stage = { ...shared, directory, env: prepared, instance, port, defer };
    const verdicts = await Promise.race([enduranceCase.run(stage), instance.ended]);
    if (mayLoseProcesses) return verdicts;
    // One that was replaced took its connections, its memory and its leaks with it.
    const gone = [instance.keeperPid, instance.workerPid].filter((pid) => !isRunning(pid));
    return [...verdicts, judgeMost('processes of the node that ended', gone.length, 0)];
  } finally {
    for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close();
  }
}

/** Publishes apis, each by its name on the path `/NAME` with the upstream on a port of loopback, and what binds plugins. */
export async function publishApis(
  { instance }: Stage,
  ports: Readonly<Record<string, number>>,
  rest: { readonly consumers?: readonly unknown[]; readonly bindings?: readonly unknown[] } = {},
): Promise<void> {
  const apis = Object.entries(ports).map(([name, port]) => ({
    name,
    upstream: `http://127.0.0.1:${port}`,
    routes: [{ paths: [`/${name}`] }],
  }));
  await instance.ask('PUT', '/v1/config?wait=applied', { apis, consumers: [], bindings: [], ...rest });
}
