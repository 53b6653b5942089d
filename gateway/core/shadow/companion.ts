// One exchange on which two versions run: the installed one for real, the candidate after it on a copy.
// Must not let the exchange wait for the candidate, nor feel it.
import { GatewayError } from '../errors.ts';
import type { ExchangeState } from '../exchange/exchange.ts';
import { isCutOff } from '../hooks/cut-off.ts';
import type { Quarantine } from '../hooks/quarantine.ts';
import type { HookName } from '../manifest.ts';
import type { Host } from '../plugin.ts';
import { runCounted, type Side, type Tally, Trusted } from '../setup/trial.ts';
import { addExchange, type Comparison } from './comparison.ts';
import { copyExchange, type Ending, ExchangeCopy, readEffects } from './copy.ts';
import { type Difference, diffEffects, type Effects } from './effects.ts';
import { listSecrets, redactDifferences, redactPath, WITHHELD } from './redact.ts';

/** Hooks of a candidate that wait or run on this worker, past which no more exchanges are looked at. */
const MAX_PENDING = 64;

/** Counts what all bindings of a shadow come to. */
export interface Ledger {
  readonly installed: Tally;
  readonly candidate: Tally;
  comparison: Comparison;
  dropped: number;
  skipped: number;
  /** Hooks of the candidate that wait or run. */
  pending: number;
  /** What must not be shown whatever a plugin does with it: the secrets that it was lent. */
  readonly secrets: readonly string[];
}

/** Is both versions on one binding. */
export interface ShadowBinding {
  /** Where an exchange keeps its companion. */
  readonly note: string;
  readonly host: Host;
  readonly installed: Side;
  /** Undefined = it could not be set up here. */
  readonly candidate: Side | undefined;
  readonly quarantine: Quarantine;
  /** Hooks of the candidate that ran on it. */
  candidateCalls: number;
  /** What the candidate still had to do when it was closed says nothing about it. */
  isClosed: boolean;
}

type Call = () => unknown;
type AnyHook = (...args: readonly unknown[]) => unknown;

/** Is one hook of the installed version that has ended, and what the candidate is to be compared with. */
interface Watched {
  readonly hook: HookName;
  /** The exchange as it was before. */
  readonly copy: ExchangeState;
  /** The body that there was before, if anybody has read it. */
  readonly body: Uint8Array | undefined;
  /** Undefined after the last hook: whatever it does changes nothing. */
  readonly effects: Effects | undefined;
}

/** Says whether there is room for one more exchange. */
export function hasRoom({ pending }: Ledger): boolean {
  return pending < MAX_PENDING;
}

/** Accompanies one exchange from its first hook to its last. */
export class Companion {
  readonly #ledger: Ledger;
  readonly #binding: ShadowBinding;
  readonly #candidate: Side;
  /** The real one: the quarantine knows a try by it. */
  readonly #exchange: ExchangeState;
  #copy: ExchangeCopy | undefined;
  #differences: readonly Difference[] = [];
  /** Undefined = the candidate has seen a body, which nobody looks through for what it holds. */
  #secrets: readonly string[] | undefined;
  readonly #written: Set<string> = new Set();
  /** Nothing more is compared: the versions have parted, or cannot be compared. */
  #hasParted = false;
  #isCounted = true;
  #running: Promise<void> = Promise.resolve();

  constructor(ledger: Ledger, binding: ShadowBinding, candidate: Side, exchange: ExchangeState) {
    this.#ledger = ledger;
    this.#binding = binding;
    this.#candidate = candidate;
    this.#exchange = exchange;
    this.#secrets = ledger.secrets;
    ledger.installed.exchanges++;
    ledger.candidate.exchanges++;
  }

  /** Runs a hook of the installed version as if there were no other, and lets the candidate follow. @throws what the hook throws */
  watch(hook: HookName, call: Call | undefined): unknown {
    const exchange = this.#exchange;
    const bodyBefore = exchange.request.body;
    let body: Uint8Array | undefined;
    const copy = copyExchange(exchange, () => this.#readBody(body));
    const startedAt = performance.now();
    const settle = (ending: Ending): void => {
      body = bodyBefore ?? exchange.request.received;
      // The pipeline has gone on without it: what the exchange looks like now is not its doing alone.
      const isLate = performance.now() - startedAt > this.#binding.installed.plugin.manifest.limits.timeoutMs;
      if (isLate) this.#giveUp('skipped');
      this.#follow({ hook, copy, body, effects: hook === 'onLog' ? undefined : readEffects(exchange, body, ending) });
    };
    const fail = (error: unknown): never => {
      settle({ error });
      throw error;
    };
    const { installed } = this.#ledger;
    let result: unknown;
    try {
      result = call && runCounted(installed, call, new Trusted(installed));
    } catch (error) {
      return fail(error);
    }
    if (result instanceof Promise) {
      return result.then((value: unknown) => {
        settle({});
        return value;
      }, fail);
    }
    settle({});
    return result;
  }

  #readBody(body: Uint8Array | undefined): Promise<Uint8Array> {
    if (body === undefined && this.#exchange.request.hasBody) {
      this.#giveUp('skipped');
      return Promise.reject(new Error('nobody has read this body, and a shadow must not'));
    }
    this.#secrets = undefined;
    return Promise.resolve(body ?? new Uint8Array());
  }

  #giveUp(why: 'dropped' | 'skipped'): void {
    this.#hasParted = true;
    if (!this.#isCounted) return;
    this.#isCounted = false;
    this.#ledger[why]++;
  }

  #follow(watched: Watched): void {
    const ledger = this.#ledger;
    // The last hook is let through: a guest forgets the exchange by it.
    if (watched.hook !== 'onLog') {
      if (ledger.pending >= 2 * MAX_PENDING) this.#giveUp('dropped');
      if (this.#hasParted) return;
    }
    ledger.pending++;
    this.#running = this.#running
      .then(nextTurn)
      .then(() => this.#run(watched))
      // Nobody waits for it; what a candidate does wrong is counted where it does it.
      .catch(() => this.#giveUp('skipped'))
      .finally(() => {
        ledger.pending--;
      });
  }

  async #run({ hook, copy, body, effects }: Watched): Promise<void> {
    if (this.#binding.isClosed) {
      this.#giveUp('skipped');
      return;
    }
    if (effects) this.#noteSecrets(copy, effects);
    if (this.#copy) this.#copy.renew(copy);
    else this.#copy = new ExchangeCopy(copy);
    const isOver = this.#hasParted;
    const ending = await this.#attempt(hook, this.#copy);
    if (!effects) {
      if (this.#isCounted) this.#count();
      return;
    }
    if (isOver || this.#hasParted) return;
    const own = readEffects(copy, body, ending);
    this.#differences = [...this.#differences, ...diffEffects(effects, own)];
    if (own.outcome !== effects.outcome) this.#hasParted = true;
  }

  /** Notes what must not be shown: what the exchange brings to a hook, but for what the installed version itself wrote before. */
  #noteSecrets({ request, response }: ExchangeState, effects: Effects): void {
    const lines = [...request.headers.entries(), ...(response?.headers.entries() ?? [])];
    const brought = listSecrets(lines).filter((value) => !this.#written.has(value));
    this.#secrets = this.#secrets && [...this.#secrets, ...brought, request.query];
    const before = new Set(lines.map(([, value]) => value));
    for (const [, value] of [...effects.requestHeaders, ...effects.responseHeaders]) {
      if (!before.has(value)) this.#written.add(value);
    }
  }

  async #attempt(hook: HookName, exchange: ExchangeCopy): Promise<Ending> {
    const { plugin, config, state, tally } = this.#candidate;
    const run = plugin.plugin[hook] as AnyHook | undefined;
    if (run === undefined) return {};
    const startedAt = performance.now();
    tally.calls++;
    this.#binding.candidateCalls++;
    try {
      const hasExpired = await isLate(
        run.call(plugin.plugin, exchange, config, state),
        plugin.manifest.limits.timeoutMs,
      );
      if (hasExpired) this.#noteFailure('timeouts');
      else this.#noteSuccess();
      return { hasExpired };
    } catch (error) {
      if (this.#binding.isClosed) this.#giveUp('skipped');
      if (error instanceof GatewayError) {
        tally.refusals++;
        this.#noteSuccess();
      } else if (this.#isCounted) this.#noteFailure(isCutOff(error) ? 'timeouts' : 'errors');
      return { error };
    } finally {
      tally.totalMs += performance.now() - startedAt;
    }
  }

  #noteSuccess(): void {
    const { quarantine } = this.#binding;
    if (quarantine.isAside) quarantine.noteSuccess(this.#exchange);
  }

  #noteFailure(kind: 'errors' | 'timeouts'): void {
    const { quarantine, candidateCalls, host } = this.#binding;
    const { tally, plugin } = this.#candidate;
    tally[kind]++;
    if (!quarantine.noteFailure(this.#exchange, performance.now(), candidateCalls)) return;
    const { name, version } = plugin.manifest;
    host.log.warn('a version in the shadow is set aside: it failed too often', { plugin: name, version });
  }

  #count(): void {
    const { request, api, route } = this.#exchange;
    const { method, host, path } = request;
    const facts = { method, host, path: redactPath(path), api: api.name, route: route.name };
    const differences =
      this.#secrets === undefined
        ? this.#differences.map(withholdValues)
        : redactDifferences(this.#differences, this.#secrets);
    this.#ledger.comparison = addExchange(this.#ledger.comparison, { ...facts, differences });
  }
}

function withholdValues({ place, kind, name, ...values }: Difference): Difference {
  const hidden = Object.keys(values).map((key) => [key, WITHHELD]);
  return { place, kind, ...(name !== undefined && { name: WITHHELD }), ...Object.fromEntries(hidden) };
}

/** The exchange goes first: whatever it has to do in this turn is done before a candidate begins. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Waits for a hook, but no longer than it may take. @throws what the hook throws */
async function isLate(result: unknown, timeoutMs: number): Promise<boolean> {
  if (!(result instanceof Promise)) return false;
  let timer: NodeJS.Timeout | undefined;
  const expiry = new Promise<true>((resolve) => {
    timer = setTimeout(() => resolve(true), timeoutMs);
  });
  const ended: Promise<false> = result.then(() => false);
  return await Promise.race([ended, expiry]).finally(() => clearTimeout(timer));
}
