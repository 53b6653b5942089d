// Runs recorded requests through versions of a plugin, with the gateway's own pipeline, and says what they do differently.
// Must not know where the plugin's code runs.
import { isCutOff } from '../core/hooks/cut-off.ts';
import type { Manifest } from '../core/manifest.ts';
import { GatewayError, type Plugin } from '../core/plugin.ts';
import type { SideReport } from '../core/setup/side-report.ts';
import { runCounted, type Tally } from '../core/setup/trial.ts';
import { addExchange, type Comparison, NOTHING_COMPARED } from '../core/shadow/comparison.ts';
import { markBody } from '../core/shadow/copy.ts';
import { diffEffects, type Effects, type Outcome } from '../core/shadow/effects.ts';
import type { RecordedRequest } from '../core/shadow/recorded.ts';
import { fakeClock } from './clock.ts';
import { fakeConsumers } from './consumers.ts';
import type { RequestOptions } from './exchange.ts';
import { fixtureSecrets } from './fixtures.ts';
import { fakeHost, type TestHost } from './host.ts';
import { type RunningPlugin, type RunResult, startPlugin } from './run.ts';
import type { UpstreamAnswer } from './wire.ts';

/** Is one version with its configuration. */
export interface ReplayedVersion {
  readonly plugin: Plugin<unknown, unknown>;
  readonly manifest: Manifest;
  readonly config: unknown;
}

/** Says what to run. */
export interface ReplayOptions {
  readonly candidate: ReplayedVersion;
  /** Undefined = it is compared with no plugin at all. */
  readonly installed: ReplayedVersion | undefined;
  /** Of one api, in the order in which they came. */
  readonly requests: readonly RecordedRequest[];
  /** Time for all of them together, in milliseconds. */
  readonly budgetMs: number;
  readonly maxExamples: number;
}

/** Is what came of it. */
export interface Replay extends Comparison {
  readonly candidate: SideReport;
  readonly installed: SideReport | undefined;
  /** Requests for which the time did not suffice. */
  readonly notRun: number;
}

/** How much later than its time limit a hook is cut off by the pipeline. */
const CUT_OFF_MS = 5_000;

/** Longest reason of a failure that is told. */
const MAX_REASON_LENGTH = 200;

/** Headers that are written anew from what else is known. */
const REWRITTEN: ReadonlySet<string> = new Set(['host', 'content-length', 'transfer-encoding']);

/** Runs requests one after the other through both. @throws what a set-up throws */
export async function replayRequests(options: ReplayOptions): Promise<Replay> {
  const { requests, budgetMs, maxExamples } = options;
  const endsAt = performance.now() + budgetMs;
  const candidate = await startSide(options.candidate, requests);
  const installed = await startSide(options.installed ?? withoutPlugin(options.candidate), requests);
  let comparison: Comparison = NOTHING_COMPARED;
  let run = 0;
  for (const request of requests) {
    if (performance.now() > endsAt) break;
    const differences = diffEffects(await installed.run(request), await candidate.run(request));
    const { method, host, path, api, route } = request;
    const facts = { method, host, path, api: api.name, route: route.name };
    comparison = addExchange(comparison, { ...facts, differences }, maxExamples);
    run++;
  }
  await Promise.all([candidate.close(), installed.close()]);
  return {
    ...comparison,
    candidate: candidate.tally,
    installed: options.installed && installed.tally,
    notRun: requests.length - run,
  };
}

function withoutPlugin({ manifest }: ReplayedVersion): ReplayedVersion {
  return { plugin: {}, manifest: { ...manifest, hooks: [] }, config: {} };
}

class Side {
  readonly tally: Tally;
  readonly #running: RunningPlugin;
  readonly #host: TestHost;
  #nowMs: number;

  constructor(tally: Tally, running: RunningPlugin, host: TestHost) {
    this.tally = tally;
    this.#running = running;
    this.#host = host;
    this.#nowMs = host.clock.wallMs();
  }

  /** Runs a request at the time when it came. Gives what came of it; a failure of the plugin is part of that. */
  async run(recorded: RecordedRequest): Promise<Effects> {
    this.tally.exchanges++;
    const passedMs = Math.max(0, recorded.atMs - this.#nowMs);
    this.#host.clock.advance(passedMs);
    this.#nowMs += passedMs;
    const result = await this.#running.send({ request: toRequest(recorded), upstream: toUpstream(recorded) });
    return readEffects(result);
  }

  async close(): Promise<void> {
    await this.#running.close();
  }
}

async function startSide(version: ReplayedVersion, requests: readonly RecordedRequest[]): Promise<Side> {
  const { plugin, manifest, config } = version;
  const tally: Tally = {
    ...{ version: manifest.version, exchanges: 0, calls: 0 },
    ...{ errors: 0, timeouts: 0, refusals: 0, totalMs: 0 },
  };
  const [first] = requests;
  const host = fakeHost({
    binding: { plugin: manifest.name },
    clock: fakeClock(first?.atMs),
    secrets: fixtureSecrets(manifest),
  });
  // The sandbox cuts off first: what the pipeline cuts off by itself fails open without a word.
  const limits = { ...manifest.limits, timeoutMs: manifest.limits.timeoutMs + CUT_OFF_MS };
  const options = {
    config,
    host,
    manifest: { ...manifest, limits },
    ...(first && { api: first.api, route: first.route }),
  };
  return new Side(tally, await startPlugin(measure(plugin, manifest, tally), options), host);
}

type AnyHook = (...args: readonly unknown[]) => unknown;

function measure(plugin: Plugin<unknown, unknown>, { hooks }: Manifest, tally: Tally): Plugin<unknown, unknown> {
  const measured = hooks.flatMap((hook) => {
    const run = plugin[hook] as AnyHook | undefined;
    const call: AnyHook = (...args) => runCounted(tally, () => run?.apply(plugin, [...args]), judge(tally));
    return run ? [[hook, call] as const] : [];
  });
  return { ...plugin, ...Object.fromEntries(measured) };
}

/**
 * Counts how hooks end. Whatever fails becomes a refusal, with the failure as its cause: so none is set aside for failing too
 * often, and what follows a failure is not compared, whatever the fail policy.
 */
function judge(tally: Tally): Parameters<typeof runCounted>[2] {
  return {
    bound: (result) => result,
    succeeded: () => undefined,
    failed(error) {
      if (error instanceof GatewayError) {
        tally.refusals++;
        throw error;
      }
      if (isCutOff(error)) tally.timeouts++;
      else tally.errors++;
      throw new GatewayError('PLUGIN_FAILED', 'the plugin failed', { cause: error });
    },
  };
}

function toRequest(recorded: RecordedRequest): RequestOptions {
  const { method, host, path, query, headers, httpVersion, scheme, hasBody, consumer } = recorded;
  const known = consumer && { ...consumer, credentials: [{ type: 'key-auth', key: 'replay' }] };
  const isJson = headers.some(([name, value]) => name === 'content-type' && /\bjson\b/i.test(value));
  return {
    ...{ method, host, path, query, httpVersion, scheme },
    headers: headers.filter(([name]) => !REWRITTEN.has(name)),
    // Bodies are not kept: an empty object is what a reader of JSON can do the most with.
    ...(hasBody && { body: isJson ? '{}' : '' }),
    ...(known && { identity: fakeConsumers(known).identityOf(known.username) }),
  };
}

function toUpstream({ answer }: RecordedRequest): UpstreamAnswer {
  if (answer === undefined) return {};
  return { status: answer.status, headers: answer.headers.filter(([name]) => !REWRITTEN.has(name)) };
}

function readOutcome({ error, exchange, reachedUpstream }: RunResult): Outcome {
  if (exchange.outcome.errorCode === 'PLUGIN_TIMEOUT') return 'timed out';
  if (error === undefined) return reachedUpstream ? 'went on' : 'answered';
  const cause = findFailure(error);
  if (cause === undefined) return 'refused';
  return isCutOff(cause) ? 'timed out' : 'failed';
}

function findFailure(error: unknown): unknown {
  if (!(error instanceof GatewayError)) return error;
  return error.code === 'PLUGIN_FAILED' ? error.cause : undefined;
}

function readEffects(result: RunResult): Effects {
  const { status, headers, bytes, exchange, sent, error } = result;
  const at = sent?.target.indexOf('?') ?? -1;
  const { id, consumer } = exchange;
  const outcome = readOutcome(result);
  return {
    outcome,
    code: readCode(error, outcome),
    // What a failure comes to depends on the fail policy, and is no doing of the version.
    status: outcome === 'failed' || outcome === 'timed out' ? undefined : status,
    id,
    consumer: consumer?.username,
    path: at === -1 ? sent?.target : sent?.target.slice(0, at),
    query: at === -1 ? '' : sent?.target.slice(at + 1),
    requestHeaders: sent?.headers.entries() ?? [],
    responseHeaders: headers.entries(),
    requestBody: markBody(sent?.bytes),
    responseBody: markBody(bytes),
  };
}

function readCode(error: unknown, outcome: Outcome): string | undefined {
  if (outcome === 'refused') return error instanceof GatewayError ? error.code : undefined;
  if (outcome !== 'failed') return undefined;
  const cause = findFailure(error);
  return (cause instanceof Error ? cause.message : String(cause)).slice(0, MAX_REASON_LENGTH);
}
