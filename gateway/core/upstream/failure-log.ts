// Says in the log why a request found no answer at its upstream: the client is told only that it did not.
// Must not let a target that is down fill the log.
import { performance } from 'node:perf_hooks';
import type { GatewayError } from '../errors.ts';
import type { ExchangeState } from '../exchange/exchange.ts';
import type { Logger } from '../plugin.ts';

/** One line for each target and kind of failure in this time; the next says how many there were between. */
const QUIET_MS = 1_000;
/** Kinds that are remembered; more would be those of targets that come and go. */
const MAX_KINDS = 1_000;

const CODES: ReadonlySet<string> = new Set([
  'UPSTREAM_CONNECT_FAILED',
  'UPSTREAM_TIMEOUT',
  'UPSTREAM_BROKEN',
  'UPSTREAM_INVALID_RESPONSE',
  'NO_HEALTHY_TARGET',
]);

interface Kind {
  quietUntilMs: number;
  unsaid: number;
}

const kinds = new Map<string, Kind>();

/** Logs a failure of an upstream; nothing for any other error. */
export function logUpstreamFailure(log: Logger, exchange: ExchangeState, { code, message, cause }: GatewayError): void {
  if (!CODES.has(code)) return;
  const { target } = exchange.tally;
  const key = `${exchange.api.name} ${target ?? ''} ${code}`;
  const nowMs = performance.now();
  const kind = kinds.get(key) ?? { quietUntilMs: 0, unsaid: 0 };
  if (nowMs < kind.quietUntilMs) {
    kind.unsaid++;
    return;
  }
  if (kinds.size >= MAX_KINDS) kinds.clear();
  kinds.set(key, { quietUntilMs: nowMs + QUIET_MS, unsaid: 0 });
  const { unsaid } = kind;
  const reason = cause instanceof Error ? cause.message : undefined;
  log.warn('an upstream gave no answer', {
    exchange: exchange.id,
    api: exchange.api.name,
    ...(target !== undefined && { target }),
    code,
    detail: message,
    ...(reason !== undefined && { reason }),
    ...(unsaid > 0 && { unsaid }),
  });
}
