// Runs the fixtures of a package in a process of its own: reads the package's parts on stdin, writes the results on stdout.
// Must not run the plugin's code itself: that happens one process further on, in the sandbox.
import type { Manifest } from '../core/manifest.ts';
import type { JsonSchema } from '../core/schemas.ts';
import { openSandbox } from '../sandbox/sandbox.ts';
import type { FixtureFile } from './fixture-file.ts';
import { type FixtureResult, fixtureManifest, fixtureSecrets, runFixtures } from './fixtures.ts';

/** Is what to run, as JSON on stdin. */
export interface FixtureRun {
  readonly code: string;
  readonly manifest: Manifest;
  readonly configSchema: JsonSchema;
  readonly fixtures: readonly FixtureFile[];
  /** Time for all fixtures together, in milliseconds; loading the code is not counted. */
  readonly budgetMs: number;
}

/** Is what came of it, as JSON on stdout. */
export interface FixtureReport {
  /** Why the code does not load; null when it does. */
  readonly fault: string | null;
  readonly results: readonly FixtureResult[];
  /** What the sandbox had to stop or refuse; a fixture may come out well all the same, as the fail policy says. */
  readonly incidents: readonly string[];
}

/** Longest life, in milliseconds: whoever started this may be gone. */
const LIFE_MS = 30_000;

/** Most incidents that are told. */
const MAX_INCIDENTS = 20;

const quiet = (): void => undefined;

async function run({ code, manifest, configSchema, fixtures, budgetMs }: FixtureRun): Promise<FixtureReport> {
  const incidents: string[] = [];
  const sandbox = await openSandbox({
    code,
    manifest: fixtureManifest(manifest),
    granted: manifest.permissions,
    secrets: fixtureSecrets(manifest),
    tier: 'process',
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    onIncident: ({ kind, message }) => {
      if (incidents.length < MAX_INCIDENTS) incidents.push(`${kind}: ${message}`);
    },
  });
  try {
    const results = await runFixtures(sandbox.plugin, manifest, configSchema, fixtures, { budgetMs });
    return { fault: null, results, incidents };
  } finally {
    await sandbox.close();
  }
}

async function readInput(): Promise<FixtureRun> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString()) as FixtureRun;
}

setTimeout(() => process.exit(1), LIFE_MS).unref();
const report = await readInput()
  .then(run)
  .catch((error: unknown): FixtureReport => {
    return { fault: error instanceof Error ? error.message : String(error), results: [], incidents: [] };
  });
process.stdout.write(JSON.stringify(report), () => process.exit(0));
