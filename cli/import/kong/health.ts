// Turns the health checks of Kong's upstreams into ours. None of it lets anybody in, so what differs is only told.
// Must not look at targets.
import { type Fields, isRecord } from '../source.ts';
import type { Entity } from './entities.ts';

type Tell = (message: string) => void;

const MS_PER_SECOND = 1_000;
const MAX_COUNT = 100;
const COUNTERS = ['tcp_failures', 'timeouts', 'http_failures'] as const;

/** Says whether an upstream asks its targets on a schedule. */
export function hasActiveChecks({ value }: Entity): boolean {
  const checks = value['healthchecks'];
  const active = isRecord(checks) ? checks['active'] : undefined;
  if (!isRecord(active)) return false;
  return ['healthy', 'unhealthy'].some((side) => {
    const half = active[side];
    return isRecord(half) && Number(half['interval'] ?? 0) > 0;
  });
}

/** Translates the checks; what is off in Kong is off here. */
export function translateHealthChecks(fields: Fields, tell: Tell): Record<string, unknown> {
  if ((fields.number('threshold') ?? 0) > 0) tell('healthchecks.threshold has no counterpart');
  const active = translateActive(fields.below('active'), tell);
  const passive = translatePassive(fields.below('passive'), tell);
  tellUnasked(fields, tell);
  return { ...(active === undefined ? {} : { active }), passive };
}

function translateActive(fields: Fields, tell: Tell): Record<string, unknown> | undefined {
  const healthy = fields.below('healthy');
  const unhealthy = fields.below('unhealthy');
  const intervals = [healthy.number('interval') ?? 0, unhealthy.number('interval') ?? 0].filter((one) => one > 0);
  const path = fields.text('http_path') ?? '/';
  const timeout = fields.number('timeout') ?? 1;
  const statuses = healthy.get('http_statuses') ?? [200, 302];
  const counts = COUNTERS.map((key) => unhealthy.number(key) ?? 0).filter((count) => count > 0);
  const successes = healthy.number('successes') ?? 0;
  const type = fields.text('type') ?? 'http';
  const foreign = ['headers', 'https_sni'].filter((key) => isFilled(fields.get(key)));
  fields.skip('concurrency', 'https_verify_certificate');
  unhealthy.skip('http_statuses');
  if (intervals.length === 0) return undefined;
  if (type === 'tcp' || type === 'grpc') {
    tell(`active health checks of type ${type} have no counterpart and are left out`);
    return undefined;
  }
  if (new Set(intervals).size > 1) tell('active checks ask at one interval here, the shorter one');
  if (new Set(counts).size > 1)
    tell('active checks count failures of every kind together here, up to the smallest number');
  for (const key of foreign) tell(`healthchecks.active.${key} has no counterpart`);
  for (const part of [fields, healthy, unhealthy]) tellUnasked(part, tell);
  return {
    path,
    intervalMs: Math.round(Math.min(...intervals) * MS_PER_SECOND),
    timeoutMs: Math.max(1, Math.round(timeout * MS_PER_SECOND)),
    healthyStatuses: statuses,
    healthyAfter: clamp(successes === 0 ? 1 : successes),
    unhealthyAfter: clamp(counts.length === 0 ? MAX_COUNT : Math.min(...counts)),
  };
}

function translatePassive(fields: Fields, tell: Tell): Record<string, unknown> {
  const unhealthy = fields.below('unhealthy');
  const [tcp, timeouts, http] = COUNTERS.map((key) => unhealthy.number(key) ?? 0);
  fields.skip('type', 'healthy');
  unhealthy.skip('http_statuses');
  if ((http ?? 0) > 0) tell('passive checks look at connections and broken answers here, not at statuses');
  const counts = [tcp ?? 0, timeouts ?? 0].filter((count) => count > 0);
  if (new Set(counts).size > 1)
    tell('passive checks count failed connections and time-outs together here, up to the smaller number');
  return { failures: counts.length === 0 ? 0 : Math.min(...counts) };
}

function isFilled(value: unknown): boolean {
  return isRecord(value) ? Object.keys(value).length > 0 : value !== undefined;
}

function tellUnasked(fields: Fields, tell: Tell): void {
  for (const key of fields.listUnasked())
    tell(`${fields.place.replace(/^.*\.healthchecks/, 'healthchecks')}.${key} has no counterpart`);
}

function clamp(count: number): number {
  return Math.min(Math.max(count, 1), MAX_COUNT);
}
