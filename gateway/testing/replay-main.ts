// Replays requests in a process of its own: reads versions and requests on stdin, writes what came of it on stdout.
// Must not run the plugin's code itself: that happens one process further on, in the sandbox.
import { readPluginConfig } from '../core/config.ts';
import type { Manifest } from '../core/manifest.ts';
import type { JsonSchema } from '../core/schemas.ts';
import type { RecordedRequest } from '../core/shadow/recorded.ts';
import { openSandbox, type Sandbox } from '../sandbox/sandbox.ts';
import { fixtureManifest, fixtureSecrets } from './fixtures.ts';
import { type Replay, type ReplayedVersion, replayRequests } from './replay.ts';

/** Is one version. */
export interface ReplaySide {
  readonly code: string;
  readonly manifest: Manifest;
  readonly configSchema: JsonSchema;
  readonly config: unknown;
  /** Version of the shape that `config` has; where the manifest has a newer one, its migration is asked. */
  readonly configVersion: number;
}

/** Is what to run, as JSON on stdin. */
export interface ReplayJob {
  readonly candidate: ReplaySide;
  /** Null = the candidate is compared with no plugin at all. */
  readonly installed: ReplaySide | null;
  readonly requests: readonly RecordedRequest[];
  readonly budgetMs: number;
  readonly maxExamples: number;
}

/** Is what came of it, as JSON on stdout. */
export interface ReplayReport {
  /** Why it could not be run, and of which version that is the fault; null when it was run. */
  readonly fault: { readonly side: 'candidate' | 'installed'; readonly message: string } | null;
  readonly replay: Replay | null;
  /** What the sandbox had to stop or refuse in the candidate. */
  readonly incidents: readonly string[];
}

/** Longest life, in milliseconds: whoever started this may be gone. */
const LIFE_MS = 60_000;
const MAX_INCIDENTS = 20;

const quiet = (): void => undefined;

/** Says which version is at fault. */
class SideFault extends Error {
  readonly side: 'candidate' | 'installed';

  constructor(side: 'candidate' | 'installed', cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause));
    this.side = side;
  }
}

interface OpenSide {
  readonly sandbox: Sandbox;
  readonly version: ReplayedVersion;
}

async function open(side: SideFault['side'], given: ReplaySide, onIncident: (text: string) => void): Promise<OpenSide> {
  const { code, configSchema, config, configVersion } = given;
  // On a machine that is busy with other things an honest hook may take longer than on a node.
  const manifest = fixtureManifest(given.manifest);
  try {
    const sandbox = await openSandbox({
      code,
      manifest,
      granted: manifest.permissions,
      // The real ones stay where they are.
      secrets: fixtureSecrets(manifest),
      tier: 'process',
      log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
      onIncident: ({ kind, message }) => onIncident(`${kind}: ${message}`),
    });
    const isOlder = configVersion < (manifest.configVersion ?? 1);
    const own = isOlder && sandbox.migrate ? await sandbox.migrate(config, configVersion) : config;
    const read = readPluginConfig({ manifest, configSchema }, own);
    if (read.ok) return { sandbox, version: { plugin: sandbox.plugin, manifest, config: read.value } };
    await sandbox.close();
    throw new Error(read.problems.map(({ pointer, message }) => `config${pointer}: ${message}`).join('; '));
  } catch (error) {
    throw new SideFault(side, error);
  }
}

async function run({ candidate, installed, requests, budgetMs, maxExamples }: ReplayJob): Promise<ReplayReport> {
  const incidents: string[] = [];
  const other = installed === null ? undefined : await open('installed', installed, quiet);
  const own = await open('candidate', candidate, (text) => {
    if (incidents.length < MAX_INCIDENTS) incidents.push(text);
  });
  try {
    const replay = await replayRequests({
      candidate: own.version,
      installed: other?.version,
      ...{ requests, budgetMs, maxExamples },
    });
    return { fault: null, replay, incidents };
  } finally {
    await Promise.all([own.sandbox.close(), other?.sandbox.close()]);
  }
}

async function readInput(): Promise<ReplayJob> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString()) as ReplayJob;
}

setTimeout(() => process.exit(1), LIFE_MS).unref();
const report = await readInput()
  .then(run)
  .catch((error: unknown): ReplayReport => {
    const side = error instanceof SideFault ? error.side : 'candidate';
    const message = error instanceof Error ? error.message : String(error);
    return { fault: { side, message }, replay: null, incidents: [] };
  });
process.stdout.write(JSON.stringify(report), () => process.exit(0));
