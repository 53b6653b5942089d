// Drives wrk: writes its script, runs it, reads its figures.
// Must not interpret wrk's human-readable output: the script prints JSON.
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { LoadRequest } from '../contenders/contender.ts';
import { startProcess } from '../processes.ts';
import { SERVER_NAME } from './certificate.ts';
import type { LoadPlan, LoadResult } from './load.ts';

/** Prints the figures; wrk's latencies and durations are microseconds. */
const REPORT = `
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('\\nJSON {"units":%d,"seconds":%f,"failures":%d,"p50Ms":%f,"p99Ms":%f}\\n',
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
`;

function buildRequestText({ path, headers }: LoadRequest): string {
  const fields = Object.entries({ host: 'orders.example.com', ...headers }).map(([name, value]) => `${name}: ${value}`);
  return `GET ${path} HTTP/1.1\\r\\n${fields.join('\\r\\n')}\\r\\n\\r\\n`;
}

/** Builds the Lua script: every request is made before the run, so that wrk only hands out strings. */
export function buildWrkScript(requests: readonly LoadRequest[]): string {
  const lines = requests.map((request) => `  "${buildRequestText(request)}",`);
  return `local requests = {
${lines.join('\n')}
}
local next = 0
request = function()
  next = next % #requests + 1
  return requests[next]
end
${REPORT}`;
}

/** Runs wrk with one thread. @throws Error when it fails. */
export async function runWrk(plan: LoadPlan): Promise<LoadResult> {
  const script = join(plan.directory, 'load.lua');
  writeFileSync(script, buildWrkScript(plan.requests));
  const command = [
    'wrk',
    '--threads',
    '1',
    '--connections',
    String(plan.connections),
    '--duration',
    `${plan.seconds}s`,
  ];
  // wrk asks for the certificate of the URL's host, and believes any.
  const origin = plan.certificate === undefined ? 'http://127.0.0.1' : `https://${SERVER_NAME}`;
  const child = startProcess([...command, '--script', script, `${origin}:${plan.port}`], { core: plan.core });
  if (child.stdout === null) throw new Error('wrk has no stdout');
  const [output] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  const json = /^JSON (.*)$/m.exec(output)?.[1];
  if (json === undefined) throw new Error(`wrk failed:\n${output}`);
  return JSON.parse(json) as LoadResult;
}
