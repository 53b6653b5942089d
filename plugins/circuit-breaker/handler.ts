// Keeps requests away from an upstream that fails or is slow, until it has had time to recover.
// Must not count what the upstream is not to blame for.
import { type Clock, definePlugin, type Exchange, type Plugin } from 'sallyport/plugin';
import type { Circuit, Pass, Turn, Verdict } from './circuit.ts';
import { Circuits, type Owner } from './circuits.ts';

/** Mirrors config.schema.json. */
export interface Config {
  readonly by: Owner;
  readonly windowSeconds: number;
  readonly minimumRequests: number;
  readonly failurePercent: number;
  readonly failureStatuses: readonly number[];
  readonly slowMs?: number;
  readonly slowPercent: number;
  readonly openSeconds: number;
  readonly maxOpenSeconds: number;
  readonly probes: number;
}

interface State {
  readonly clock: Clock;
  /** Under this an exchange keeps its visit: a route may have several bindings. */
  readonly note: string;
  readonly circuits: Circuits;
  readonly failureStatuses: ReadonlySet<number>;
}

/** Is a request on its way through a circuit. */
interface Visit {
  readonly circuit: Circuit;
  readonly pass: Pass;
  /** By the head of the answer; undefined until then. */
  judged: Verdict | undefined;
}

/** Opens and closes circuits. @throws CIRCUIT_OPEN */
export const plugin: Plugin<Config, State> = definePlugin<Config, State>({
  setup(config, host) {
    const { minimumRequests, failurePercent, slowPercent, probes } = config;
    return {
      clock: host.clock,
      note: `circuit-breaker.${host.binding.id}`,
      circuits: new Circuits(host, config.by, {
        windowMs: config.windowSeconds * 1_000,
        openMs: config.openSeconds * 1_000,
        maxOpenMs: config.maxOpenSeconds * 1_000,
        minimumRequests,
        failurePercent,
        slowPercent,
        probes,
      }),
      failureStatuses: new Set(config.failureStatuses),
    };
  },

  // Here and not in onRequest: what another plugin answers never comes near the upstream.
  onUpstreamRequest(exchange, _config, { clock, circuits, note }) {
    const nowMs = clock.monotonicMs();
    const circuit = circuits.find(exchange, nowMs);
    const pass = circuit.enter(nowMs);
    if (typeof pass === 'number') throw circuits.refuse(exchange, pass);
    exchange.state.set(note, { circuit, pass, judged: undefined } satisfies Visit);
  },

  onResponse(exchange, config, state) {
    const { response, outcome } = exchange;
    // What the gateway answers in the upstream's place is known for what it is at the end.
    if (response?.source !== 'upstream') return;
    const isSlow = config.slowMs !== undefined && (outcome.upstreamMs ?? 0) >= config.slowMs;
    const verdict = isSlow ? 'slow' : 'good';
    // A body may go on for hours: the head is what the verdict can wait for.
    judge(exchange, state, state.failureStatuses.has(response.status) ? 'failed' : verdict);
  },

  onLog(exchange, _config, state) {
    judge(exchange, state, isFaultOfUpstream(exchange) ? 'failed' : 'none');
  },
});

function judge(exchange: Exchange, { note, clock, circuits }: State, verdict: Verdict): void {
  const visit = exchange.state.get(note) as Visit | undefined;
  if (!visit) return;
  const turn = weigh(visit, verdict, clock.monotonicMs());
  visit.judged ??= verdict;
  if (turn) circuits.tell(exchange, turn);
}

function weigh({ circuit, pass, judged }: Visit, verdict: Verdict, nowMs: number): Turn | undefined {
  if (judged === undefined) return circuit.leave(pass, verdict, nowMs);
  return judged === 'good' && verdict === 'failed' ? circuit.breakOff(pass, nowMs) : undefined;
}

function isFaultOfUpstream({ outcome, request }: Exchange): boolean {
  const { errorCode = '' } = outcome;
  // Who asks for an answer within a millisecond shall not open the circuit for all.
  if (errorCode === 'UPSTREAM_TIMEOUT' && request.headers.has('grpc-timeout')) return false;
  return errorCode.startsWith('UPSTREAM_') || errorCode === 'NO_HEALTHY_TARGET';
}
