// Runs one hook: timed and counted always, bounded in time, its failures dealt with by fail policy.
// Must not know chains or their order.
import { performance } from 'node:perf_hooks';
import { GatewayError } from '../errors.ts';
import type { FailPolicy } from '../manifest.ts';
import type { Instance, PluginStats, Walk } from '../pipeline.ts';
import type { MaybePromise } from '../plugin.ts';
import type { ChunkStep, Step } from './chain.ts';
import { isCutOff } from './cut-off.ts';
import { chooseVersion, reportPrevious } from './previous.ts';
import { takeReason, takeSample } from './sample.ts';

/**
 * Says that a step does not run in this exchange: its binding is aside, and fails open; or another version has the exchange.
 * @throws PLUGIN_QUARANTINED when it fails closed
 */
export function isSkipped(walk: Walk, { instance, installed }: Step | ChunkStep): boolean {
  if (walk.watch.isCutting) walk.watch.settle();
  const before = installed.previous?.instance;
  if (before !== undefined) {
    const chosen = chooseVersion(walk, installed, before);
    if (chosen !== instance) return true;
    if (chosen === installed) return false;
    if (installed.plugin.previous?.isStopped) throw refuse(instance);
  }
  const { quarantine, plugin } = instance;
  if (!quarantine.isAside || quarantine.admits(walk.exchange, performance.now())) return false;
  if (plugin.manifest.failPolicy === 'open') return true;
  throw refuse(instance);
}

function refuse({ plugin }: Instance): GatewayError {
  return new GatewayError('PLUGIN_QUARANTINED', `plugin ${plugin.manifest.name} failed too often and is set aside`);
}

/** Runs a hook. Gives a promise only when the hook gave one. @throws as the fail policy has it */
export function runHook(walk: Walk, step: Step): Promise<void> | undefined {
  const { instance } = step;
  const { stats } = instance;
  const { watch } = walk;
  const startedAt = performance.now();
  stats.calls++;
  watch.begin(walk, step);
  try {
    const result = step.run(walk.exchange, instance.config, instance.state);
    watch.end();
    if (!(result instanceof Promise)) {
      stats.totalMs += performance.now() - startedAt;
      noteSuccess(walk, instance);
      return undefined;
    }
    return timed(bound(walk, step, result), stats, startedAt);
  } catch (error) {
    watch.end();
    stats.totalMs += performance.now() - startedAt;
    fail(walk, step, error);
    return undefined;
  }
}

// Apart: what a function closes over is allocated when it is called, also by hooks that give no promise.
function timed<Result>(result: Promise<Result>, stats: PluginStats, startedAt: number): Promise<Result> {
  return result.finally(() => {
    stats.totalMs += performance.now() - startedAt;
  });
}

/** Runs a chunk hook; undefined = the chunk stays as it is. Gives a promise only when the hook gave one. @throws as `runHook` */
export function runChunkHook(
  walk: Walk,
  step: ChunkStep,
  chunk: Uint8Array,
  last: boolean,
): MaybePromise<Uint8Array | null | undefined> {
  const { instance } = step;
  const { stats } = instance;
  const { watch } = walk;
  const startedAt = performance.now();
  stats.calls++;
  watch.begin(walk, step);
  try {
    const result = step.run(chunk, last, walk.exchange, instance.config, instance.state);
    watch.end();
    if (!(result instanceof Promise)) {
      stats.totalMs += performance.now() - startedAt;
      return result;
    }
    return timed(bound(walk, step, result), stats, startedAt);
  } catch (error) {
    watch.end();
    stats.totalMs += performance.now() - startedAt;
    fail(walk, step, error);
    return undefined;
  }
}

/**
 * Waits for a hook's promise, but no longer than the manifest allows: one that never settles must not hold a request.
 * Undefined = it failed, and fails open.
 */
function bound<Result>(walk: Walk, step: Step | ChunkStep, result: Promise<Result>): Promise<Result | undefined> {
  const { timeoutMs } = step.instance.plugin.manifest.limits;
  const { watch } = walk;
  const waiting = watch.beginWait(walk, step);
  return new Promise((resolve, reject) => {
    let isOver = false;
    const finish = (settle: () => Result | undefined): void => {
      if (isOver) return;
      isOver = true;
      watch.endWait(waiting);
      clearTimeout(timer);
      try {
        resolve(settle());
      } catch (error) {
        reject(error);
      }
    };
    const timer = setTimeout(() => {
      watch.noteExpired(waiting);
      finish(() => expire(walk, step));
    }, timeoutMs);
    result.then(
      (value) =>
        finish(() => {
          noteSuccess(walk, step.instance);
          return value;
        }),
      (error: unknown) => finish(() => fail(walk, step, error)),
    );
  });
}

function noteSuccess({ exchange }: Walk, { quarantine }: Instance): void {
  if (quarantine.isAside) quarantine.noteSuccess(exchange);
}

function expire(walk: Walk, step: Step | ChunkStep): undefined {
  const { instance } = step;
  instance.stats.timeouts++;
  const { name, limits } = instance.plugin.manifest;
  const facts = { hook: step.hook, timeoutMs: limits.timeoutMs };
  walk.log.error('a plugin hook did not settle in time', describe(walk, instance, facts));
  noteFailure(walk, step, `it did not settle within ${limits.timeoutMs} ms`);
  if (policyOf(instance) !== 'open') throw new GatewayError('PLUGIN_TIMEOUT', `plugin ${name} took too long`);
}

/** Rethrows what a plugin meant to say; turns anything else into what its fail policy says. */
function fail(walk: Walk, step: Step | ChunkStep, error: unknown): undefined {
  const { instance } = step;
  if (error instanceof GatewayError) {
    noteSuccess(walk, instance);
    throw error;
  }
  // The sandbox counts the same time, and is first where this process was busy.
  if (isCutOff(error)) return expire(walk, step);
  instance.stats.errors++;
  walk.log.error('a plugin hook failed', describe(walk, instance, { error }));
  noteFailure(walk, step, error instanceof Error ? error.message : String(error));
  if (policyOf(instance) !== 'open') {
    throw new GatewayError('PLUGIN_FAILED', `plugin ${instance.plugin.manifest.name} failed`, { cause: error });
  }
}

function noteFailure(walk: Walk, { instance, hook }: Step | ChunkStep, reason: string): void {
  const { quarantine, stats } = instance;
  if (!quarantine.noteFailure(walk.exchange, performance.now(), stats.calls)) return;
  const tally = quarantine.tally(stats.calls);
  const { exchange } = walk;
  const facts = { atMs: exchange.tally.startedAt, hook, reason: takeReason(exchange, reason), ...tally };
  const incident = { ...facts, sample: takeSample(exchange) };
  quarantine.incident = incident;
  const previous = reportPrevious(instance);
  const more = { incident, ...(previous && { previous }) };
  walk.log.error('a plugin is set aside: it failed too often', describe(walk, instance, more));
}

function policyOf(instance: Instance): FailPolicy {
  return instance.plugin.manifest.failPolicy;
}

function describe(walk: Walk, instance: Instance, more: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { name: plugin, version } = instance.plugin.manifest;
  return { plugin, version, binding: instance.binding.id, exchange: walk.exchange.id, ...more };
}
