// One hook of one of two versions: timed and counted, and what its failure comes to.
// Must not choose between the versions: split.ts does.
import { GatewayError } from '../errors.ts';
import { isCutOff } from '../hooks/cut-off.ts';
import type { Incident, Quarantine } from '../hooks/quarantine.ts';
import { takeSample } from '../hooks/sample.ts';
import type { HookName } from '../manifest.ts';
import type { LoadedPlugin } from '../pipeline.ts';
import type { Exchange, Host } from '../plugin.ts';
import type { SideReport } from './side-report.ts';

/** Is a report in the making. */
export type Tally = { -readonly [Key in keyof SideReport]: SideReport[Key] };

/** Is one version on one binding. */
export interface Side {
  readonly plugin: LoadedPlugin;
  readonly tally: Tally;
  readonly config: unknown;
  readonly state: unknown;
}

/** Is both versions on one binding. */
export interface SplitBinding {
  /** Where an exchange keeps which side it is on. */
  readonly note: string;
  readonly host: Host;
  readonly stable: Side;
  /** Undefined = it could not be set up here. */
  readonly canary: Side | undefined;
  readonly quarantine: Quarantine;
  /** Hooks of the canary that ran on it. */
  canaryCalls: number;
}

/** Says what becomes of the end of a hook. */
interface Judge {
  /** Bounds the wait for a hook's promise. */
  bound(result: Promise<unknown>): Promise<unknown>;
  succeeded(): void;
  failed(error: unknown): unknown;
}

/** Runs a hook; gives what it gave, or what its failure comes to. */
export function runCounted(tally: Tally, call: () => unknown, judge: Judge): unknown {
  const startedAt = performance.now();
  const end = (finish: () => unknown): unknown => {
    tally.totalMs += performance.now() - startedAt;
    return finish();
  };
  const succeed = (value: unknown): unknown =>
    end(() => {
      judge.succeeded();
      return value;
    });
  const fail = (error: unknown): unknown => end(() => judge.failed(error));
  tally.calls++;
  let result: unknown;
  try {
    result = call();
  } catch (error) {
    return fail(error);
  }
  return result instanceof Promise ? judge.bound(result).then(succeed, fail) : succeed(result);
}

/** The stable version: what it throws is the pipeline's affair, as if there were no other. */
export class Trusted implements Judge {
  readonly #tally: Tally;

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  bound(result: Promise<unknown>): Promise<unknown> {
    return result;
  }

  succeeded(): void {}

  failed(error: unknown): never {
    if (error instanceof GatewayError) this.#tally.refusals++;
    else if (isCutOff(error)) this.#tally.timeouts++;
    else this.#tally.errors++;
    throw error;
  }
}

/** Is thrown where a hook did not settle in time. */
const EXPIRED = Symbol('expired');

interface TrialParts {
  readonly hook: HookName;
  readonly binding: SplitBinding;
  readonly exchange: Exchange;
  readonly side: Side;
  readonly noteIncident: (incident: Incident) => void;
}

/** The canary: its failures end its own exchanges by its fail policy, and never put the stable version aside. */
export class OnTrial implements Judge {
  readonly #parts: TrialParts;

  constructor(parts: TrialParts) {
    this.#parts = parts;
    parts.binding.canaryCalls++;
  }

  bound(result: Promise<unknown>): Promise<unknown> {
    const { timeoutMs } = this.#parts.side.plugin.manifest.limits;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(EXPIRED), timeoutMs);
      result.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }

  succeeded(): void {
    const { binding, exchange } = this.#parts;
    if (binding.quarantine.isAside) binding.quarantine.noteSuccess(exchange);
  }

  failed(error: unknown): undefined {
    const { binding, side } = this.#parts;
    const { tally, plugin } = side;
    const { name, version, failPolicy, limits } = plugin.manifest;
    if (error instanceof GatewayError) {
      tally.refusals++;
      this.succeeded();
      throw error;
    }
    const hasExpired = error === EXPIRED || isCutOff(error);
    if (hasExpired) tally.timeouts++;
    else tally.errors++;
    const cause = hasExpired ? new Error(`it did not settle within ${limits.timeoutMs} ms`) : error;
    const facts = { plugin: name, version, binding: binding.host.binding.id, exchange: this.#parts.exchange.id };
    binding.host.log.error('a canary failed', { ...facts, error: cause });
    this.#noteFailure(cause instanceof Error ? cause.message : String(cause));
    if (failPolicy === 'open') return undefined;
    const code = hasExpired ? 'PLUGIN_TIMEOUT' : 'PLUGIN_FAILED';
    throw new GatewayError(code, `plugin ${name} failed`, { cause });
  }

  #noteFailure(reason: string): void {
    const { binding, exchange, hook, side, noteIncident } = this.#parts;
    const { quarantine, canaryCalls, host } = binding;
    if (!quarantine.noteFailure(exchange, performance.now(), canaryCalls)) return;
    const tally = quarantine.tally(canaryCalls);
    const incident = { atMs: exchange.outcome.startedAt, hook, reason, ...tally, sample: takeSample(exchange) };
    noteIncident(incident);
    const { name, version } = side.plugin.manifest;
    host.log.error('a canary is set aside: it failed too often', { plugin: name, version, incident });
  }
}
