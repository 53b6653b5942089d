// Runs the hooks of a chain: in order, timed and counted always, bounded in time, by fail policy.
// Must not know which plugins exist, nor where requests come from.
import type { GatewayError } from './errors.ts';
import type { ExchangeState } from './exchange/exchange.ts';
import type { Chain, ChunkStep, Step } from './hooks/chain.ts';
import type { Quarantine } from './hooks/quarantine.ts';
import { isSkipped, runChunkHook, runHook } from './hooks/run-hook.ts';
import type { HookWatch } from './hooks/watch.ts';
import type { InstalledPlugin } from './manifest.ts';
import type { Binding, PreviousPin } from './model.ts';
import type { Host, Logger, MaybePromise, Plugin } from './plugin.ts';
import type { FieldTest } from './routing/match.ts';
import type { PreviousVersion } from './setup/previous.ts';
import type { SplitReport } from './setup/side-report.ts';
import type { ShadowFacts } from './shadow/report.ts';

/** Is an installed plugin with its code. */
export interface LoadedPlugin extends InstalledPlugin {
  readonly plugin: Plugin<unknown, unknown>;
  /** Names where its code runs; absent = in this process. */
  readonly tier?: 'native' | 'isolate' | 'process';
  /** Counts who uses the code, which goes with the last; absent = it stays as long as the process. */
  readonly lease?: { take(): void; release(): void };
  /** Only where two versions run side by side. */
  readonly split?: { report(): SplitReport };
  /** Only where another version runs in the shadow of this one. */
  readonly shadow?: { report(): ShadowFacts };
  /** Only with either of the two: which version that is; it gets no more exchanges once it is stopped. */
  readonly beside?: { readonly version: string; isStopped: boolean };
  /** Only where the fail policy is `previous` and there was a version before. */
  readonly previous?: PreviousVersion;
  /** Only of the version before, which takes the place of the installed one: how bindings were configured for it. */
  readonly configsBefore?: PreviousPin['configs'];
}

/** Counts what one binding costs and how often it failed. Always on. */
export interface PluginStats {
  calls: number;
  errors: number;
  timeouts: number;
  totalMs: number;
}

/** Is what a set-up was lent. */
export interface Loan {
  readonly host: Host;
  /** Takes back what the set-up has registered with the gateway. */
  end(): void;
}

/** Is a binding put to work: its plugin set up with its configuration. */
export interface Instance {
  readonly binding: Binding;
  readonly plugin: LoadedPlugin;
  readonly config: unknown;
  readonly state: unknown;
  readonly stats: PluginStats;
  /** The binding's condition; undefined = always. */
  readonly when: FieldTest | undefined;
  readonly loan: Loan;
  readonly quarantine: Quarantine;
  /** What has the exchanges while this is aside; undefined = nothing does, by the fail policy. */
  readonly previous: PreviousInstance | undefined;
  /** Counts the snapshots in use that hold it; closed when the last lets go. */
  holders: number;
}

/** Is the version before, set up on the same binding. */
export interface PreviousInstance {
  /** Null = there is none. */
  readonly version: string | null;
  /** Undefined = it cannot run on this binding, and `problem` says why. */
  readonly instance: Instance | undefined;
  readonly problem: string | undefined;
}

/** Is what a walk needs beside the chain. */
export interface Walk {
  readonly exchange: ExchangeState;
  readonly log: Logger;
  readonly watch: HookWatch;
  /** Position of the last instance whose request hook began; response hooks of later ones do not run. */
  reached: number;
  /** Says that nothing a hook does can change the answer any more: it is on its way, or the client left. */
  readonly isSettled: boolean;
  /** Lets nothing more come or go: its hook was cut, and with it all that was on the stack. */
  halt(): void;
  abandon(error: GatewayError): void;
  /** Makes an answer of what was thrown, or breaks one off that is on its way. */
  onError(error: unknown): void;
}

/**
 * Goes on with `next`, a method of `self`, now or when what is waited for has settled. Not with a function made for the purpose:
 * every request takes five such steps, and hardly one of them waits.
 */
export function after<Self extends Walk>(
  self: Self,
  waiting: MaybePromise<void>,
  next: (this: Self) => MaybePromise<void>,
): MaybePromise<void> {
  return waiting ? goOnAfter(self, waiting, next) : next.call(self);
}

function goOnAfter<Self extends Walk>(
  self: Self,
  waiting: Promise<void>,
  next: (this: Self) => MaybePromise<void>,
): Promise<void> {
  // The client left, or the upstream broke off, and that was the answer.
  return waiting.then(() => (self.isSettled ? undefined : next.call(self)));
}

/**
 * Runs `steps[from..to)` and stops when someone answers. Gives a promise only when a hook gave one.
 * @throws GatewayError as a hook threw it, or PLUGIN_FAILED and PLUGIN_TIMEOUT by fail policy.
 */
export function runSteps(walk: Walk, steps: readonly Step[], from: number, to: number): MaybePromise<void> {
  const { exchange } = walk;
  for (let at = from; at < to; at++) {
    const step = steps[at];
    if (!step || !runs(walk, step)) continue;
    walk.reached = step.position;
    const waiting = runHook(walk, step);
    if (waiting) return runStepsAfter(waiting, walk, steps.slice(at + 1, to));
    if (exchange.answer) return;
  }
}

/**
 * Runs the last steps before a target is asked. @throws as `runSteps`; PLUGIN_QUARANTINED when a binding is aside that would
 * have to see the response: no upstream is troubled for an answer that cannot be given.
 */
export function runUpstreamSteps(walk: Walk, chain: Chain): MaybePromise<void> {
  const { requestChunk, upstream, response, responseChunk } = chain;
  walk.reached = Number.MAX_SAFE_INTEGER;
  for (const steps of [requestChunk, response, responseChunk]) {
    for (const step of steps) if (step.installed.quarantine.isAside) runs(walk, step);
  }
  return runSteps(walk, upstream, 0, upstream.length);
}

// Apart: a function inside the loop would cost each of its turns memory for what it closes over.
function runStepsAfter(waiting: Promise<void>, walk: Walk, steps: readonly Step[]): Promise<void> {
  return waiting.then(() =>
    walk.exchange.answer || walk.isSettled ? undefined : runSteps(walk, steps, 0, steps.length),
  );
}

/** Runs every response step of instances that were reached; an answer given here replaces the response at once. */
export function runResponseSteps(walk: Walk, steps: readonly Step[]): MaybePromise<void> {
  for (let at = 0; at < steps.length; at++) {
    const step = steps[at];
    if (!step || step.position > walk.reached || !runs(walk, step)) continue;
    const waiting = runHook(walk, step);
    if (waiting) return runResponseStepsAfter(waiting, walk, steps.slice(at + 1));
    walk.exchange.replaceResponse();
  }
}

function runResponseStepsAfter(waiting: Promise<void>, walk: Walk, steps: readonly Step[]): Promise<void> {
  return waiting.then(() => {
    if (walk.isSettled) return;
    walk.exchange.replaceResponse();
    return runResponseSteps(walk, steps);
  });
}

/** Runs every log step. Nothing that a hook throws leaves here: the exchange is over. */
export function runLogSteps(walk: Walk, steps: readonly Step[]): void {
  for (const step of steps) {
    try {
      if (!runs(walk, step)) continue;
      const waiting = runHook(walk, step);
      waiting?.catch(() => undefined);
    } catch {
      // Counted and logged by `runHook`.
    }
  }
}

/**
 * Passes one chunk through the chunk hooks; null = dropped. Gives a promise only when a hook gave one.
 * @throws as `runSteps`.
 */
export function runChunkSteps(
  walk: Walk,
  steps: readonly ChunkStep[],
  chunk: Uint8Array,
  last: boolean,
): MaybePromise<Uint8Array | null> {
  let current = chunk;
  for (let at = 0; at < steps.length; at++) {
    const step = steps[at];
    if (!step || step.position > walk.reached || !runs(walk, step)) continue;
    const result = runChunkHook(walk, step, current, last);
    if (result instanceof Promise) return runChunkStepsAfter(result, walk, steps.slice(at + 1), { current, last });
    if (result === null) return null;
    if (result !== undefined) current = result;
  }
  return current;
}

async function runChunkStepsAfter(
  waiting: Promise<Uint8Array | null | undefined>,
  walk: Walk,
  steps: readonly ChunkStep[],
  { current, last }: { readonly current: Uint8Array; readonly last: boolean },
): Promise<Uint8Array | null> {
  const result = await waiting;
  return result === null ? null : runChunkSteps(walk, steps, result ?? current, last);
}

function runs(walk: Walk, step: Step | ChunkStep): boolean {
  return holds(step.installed, walk.exchange) && !isSkipped(walk, step);
}

function holds(instance: Instance, exchange: ExchangeState): boolean {
  if (!instance.when) return true;
  // Decided once: a plugin that rewrites the path must not switch a later hook of the same binding on or off.
  const key = `sallyport:when:${instance.binding.id}`;
  const known = exchange.state.get(key);
  if (typeof known === 'boolean') return known;
  const { method, host, path, query, headers } = exchange.request;
  const result = instance.when({ method, host, path, query, headers });
  exchange.state.set(key, result);
  return result;
}
