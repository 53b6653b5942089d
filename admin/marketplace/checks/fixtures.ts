// Runs the fixtures of a package, far from here: a child of this process starts the sandbox, and only that runs the code.
// Must not import anything that could run a plugin.
import { fileURLToPath } from 'node:url';
import type { PluginPackage } from '../../../gateway/package/package.ts';
import { runChild } from '../../child.ts';
import { type Check, failed, passed, warned } from './check.ts';

/** The compiled name: a URL in a string is not rewritten by the compiler. */
const RUNNER = fileURLToPath(new URL('../../../gateway/testing/fixtures-main.js', import.meta.url));

/** Time for all fixtures together, in milliseconds. */
const BUDGET_MS = 2_000;

/** Longest life of the child, in milliseconds: starting the sandbox and loading the code come on top. */
const LIFE_MS = 20_000;

/** Longest report that is read: names and problems are the publisher's. */
const MAX_REPORT_BYTES = 1_048_576;

/** Checks that the fixtures come out as the package says, and that the sandbox has to stop or refuse nothing. */
export async function checkFixtures({ code, manifest, configSchema, fixtures }: PluginPackage): Promise<Check> {
  if (fixtures.length === 0) return warned('fixtures', 'It has none; nothing shows what it does.');
  const startedAt = performance.now();
  const job = { code, manifest, configSchema, fixtures, budgetMs: BUDGET_MS };
  const text = await runChild(RUNNER, JSON.stringify(job), { lifeMs: LIFE_MS, maxBytes: MAX_REPORT_BYTES });
  const report = text === undefined ? undefined : readReport(text);
  if (report === undefined) return failed('fixtures', `They did not come to an end within ${LIFE_MS / 1000} s.`);
  if (report.fault !== null) return failed('fixtures', `The code does not load: ${report.fault}`);
  const bad = report.results.filter(({ ok }) => !ok);
  const total = report.results.length;
  if (bad.length > 0) {
    const listed = bad.map(({ name, problems }) => `${name}: ${problems.join('; ')}`).join(' / ');
    return failed('fixtures', `${bad.length} of ${total} come out otherwise: ${listed}`);
  }
  if (report.incidents.length > 0) {
    return failed('fixtures', `The sandbox had to step in: ${[...new Set(report.incidents)].join('; ')}`);
  }
  const tookMs = Math.round(performance.now() - startedAt);
  return passed('fixtures', `All ${total} come out as they say, in ${tookMs} ms with the start of a process.`);
}

interface Report {
  readonly fault: string | null;
  readonly results: readonly { readonly name: string; readonly ok: boolean; readonly problems: readonly string[] }[];
  readonly incidents: readonly string[];
}

/** The child is ours, and what it repeats is the plugin's; both come out as text. */
function readReport(text: string): Report | undefined {
  try {
    return JSON.parse(text) as Report;
  } catch {
    return undefined;
  }
}
