// Runs a plugin's fixtures through the gateway's own pipeline, for its author, for its reviewer and for a node that loads it.
// Must not know where the plugin's code runs: in this process, an isolate or a child.
import { ConfigError, GatewayError } from '../core/errors.ts';
import type { Manifest } from '../core/manifest.ts';
import type { Plugin } from '../core/plugin.ts';
import type { JsonSchema } from '../core/schemas.ts';
import { buildValidator, type Validator } from '../core/validate.ts';
import { fakeConsumers } from './consumers.ts';
import type { BodyInput } from './exchange.ts';
import { compareResult } from './expectations.ts';
import { type Fixture, type FixtureFile, readFixture } from './fixture-file.ts';
import { fakeHost } from './host.ts';
import { type RunResult, runPlugin } from './run.ts';

/** Is what came of one fixture. */
export interface FixtureResult {
  /** The name that the fixture gives itself, else that of its file. */
  readonly name: string;
  readonly ok: boolean;
  /** One line each; empty when `ok`. */
  readonly problems: readonly string[];
}

/** Bounds a run. */
export interface FixtureOptions {
  /** Time for all fixtures together, in milliseconds. */
  readonly budgetMs: number;
}

interface Subject {
  readonly plugin: Plugin<unknown, unknown>;
  readonly manifest: Manifest;
  readonly check: Validator;
}

/** How long a hook may at least take in a fixture, in milliseconds: what a hook usually may. */
const PATIENCE_MS = 1_000;

/**
 * Runs fixtures one after the other, each with a set-up of its own, and says what differs from what they expect. Never
 * throws for a fault of the plugin. Its clock stands still at 2026-01-01T00:00:00Z, it fetches nothing, and each secret
 * that the manifest names is as `fixtureSecrets` says. A plugin in this process that loops without end cannot be cut.
 */
export async function runFixtures(
  plugin: Plugin<unknown, unknown>,
  manifest: Manifest,
  configSchema: JsonSchema,
  files: readonly FixtureFile[],
  options: FixtureOptions,
): Promise<readonly FixtureResult[]> {
  const subject = { plugin, manifest: fixtureManifest(manifest), check: buildValidator(configSchema) };
  const endsAt = performance.now() + options.budgetMs;
  const results: FixtureResult[] = [];
  for (const file of files) {
    const leftMs = endsAt - performance.now();
    const late = `not finished within the ${options.budgetMs} ms that all fixtures have together`;
    results.push(leftMs > 0 ? await runFile(subject, file, { leftMs, late }) : fail(file.name, late));
  }
  return results;
}

/** Gives the value that each secret has in fixtures, so that an expected signature can be written down. */
export function fixtureSecrets(manifest: Manifest): Readonly<Record<string, string>> {
  return Object.fromEntries((manifest.permissions.secrets ?? []).map((name) => [name, `fixture-secret-${name}`]));
}

/**
 * Gives the manifest that a sandbox for fixtures is opened with. Fixtures say what a plugin does, not how fast: the first hook of a
 * fresh process takes longer than any after it, and a busy machine must neither refuse a review nor keep a version off a node.
 */
export function fixtureManifest(manifest: Manifest): Manifest {
  const { limits } = manifest;
  return { ...manifest, limits: { ...limits, timeoutMs: Math.max(limits.timeoutMs, PATIENCE_MS) } };
}

interface Budget {
  readonly leftMs: number;
  /** Says what went wrong when the time is over. */
  readonly late: string;
}

async function runFile(subject: Subject, file: FixtureFile, budget: Budget): Promise<FixtureResult> {
  let fixture: Fixture;
  try {
    fixture = readFixture(file);
  } catch (error) {
    return fail(file.name, ...describeFault(error));
  }
  const name = fixture.name ?? file.name;
  const config = structuredClone(fixture.config ?? {});
  const problems = subject.check(config);
  if (problems.length > 0) return fail(name, ...problems.map(({ pointer, message }) => `config${pointer}: ${message}`));

  try {
    const result = await within(runFixture(subject, fixture, config), budget);
    const crash = result.error === undefined || result.error instanceof GatewayError ? [] : [describeCrash(result)];
    const differences = [...crash, ...compareResult(fixture.expect, result)];
    return { name, ok: differences.length === 0, problems: differences };
  } catch (error) {
    return fail(name, ...describeFault(error));
  }
}

function runFixture({ plugin, manifest }: Subject, fixture: Fixture, config: unknown): Promise<RunResult> {
  const { consumer, body, ...request } = fixture.request;
  const identity =
    consumer &&
    fakeConsumers({ ...consumer, credentials: [{ type: 'key-auth', key: 'fixture' }] }).identityOf(consumer.username);
  const { body: answered, ...upstream } = fixture.upstream ?? {};
  return runPlugin(plugin, {
    config,
    manifest,
    host: fakeHost({ binding: { plugin: manifest.name }, secrets: fixtureSecrets(manifest) }),
    request: { ...request, ...(body !== undefined && { body: toBody(body) }), ...(identity && { identity }) },
    upstream: { ...upstream, ...(answered !== undefined && { body: toBody(answered) }) },
  });
}

function toBody(value: unknown): BodyInput {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

async function within<T>(work: Promise<T>, { leftMs, late }: Budget): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expiry = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(late)), leftMs);
  });
  try {
    return await Promise.race([work, expiry]);
  } finally {
    clearTimeout(timer);
  }
}

function fail(name: string, ...problems: readonly string[]): FixtureResult {
  return { name, ok: false, problems };
}

function describeCrash({ error }: RunResult): string {
  return `a hook failed: ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`;
}

function describeFault(error: unknown): readonly string[] {
  if (error instanceof ConfigError)
    return error.problems.map(({ pointer, message }) => `${pointer || '/'}: ${message}`);
  return [error instanceof Error ? error.message : String(error)];
}
