// Asks targets whether they are well, on a schedule, and notes the answer in their state.
// Must not hold the process alive, and must not outlive the upstream it was made for.
import type { ActiveHealthCheck, Upstream } from '../model.ts';
import type { FetchOptions, FetchResult } from '../plugin.ts';
import type { TargetState } from './balancer.ts';
import type { Upstreams } from './upstreams.ts';

/** Largest answer of a health check that is read; more is not needed to see a status. */
const MAX_ANSWER_BYTES = 64 * 1024;

/** Runs the active checks of the current document. */
export interface HealthChecker {
  /** Starts checks of new upstreams and ends those of gone ones. */
  update(): void;
  close(): void;
}

/** Is what checking needs. */
export interface HealthCheckerOptions {
  readonly upstreams: Upstreams;
  fetch(url: string, options: FetchOptions): Promise<FetchResult>;
}

/** Makes a checker; nothing runs before `update`. */
export function createHealthChecker(options: HealthCheckerOptions): HealthChecker {
  const running = new Map<Upstream, () => void>();
  return {
    update() {
      const checked = new Map(options.upstreams.listChecked().map((one) => [one.upstream, one.balancer]));
      for (const [upstream, stop] of running) {
        if (checked.has(upstream)) continue;
        stop();
        running.delete(upstream);
      }
      for (const [upstream, balancer] of checked) {
        const check = upstream.healthChecks.active;
        if (running.has(upstream) || !check) continue;
        const stops = balancer.targets.map((target) => startCheck(target, check, options));
        running.set(upstream, () => {
          for (const stop of stops) stop();
        });
      }
    },
    close() {
      for (const stop of running.values()) stop();
      running.clear();
    },
  };
}

/** Checks one target again and again; gives the function that ends it. A target is taken as healthy until it fails. */
function startCheck(target: TargetState, check: ActiveHealthCheck, options: HealthCheckerOptions): () => void {
  const url = `${target.protocol}://${target.authority}${check.path}`;
  let isStopped = false;
  let inARow = 0;
  let lastWasGood = true;
  let timer: NodeJS.Timeout | undefined;

  const note = (isGood: boolean): void => {
    if (isStopped) return;
    inARow = isGood === lastWasGood ? inARow + 1 : 1;
    lastWasGood = isGood;
    if (isGood && inARow >= check.healthyAfter) target.isPassingChecks = true;
    if (!isGood && inARow >= check.unhealthyAfter) target.isPassingChecks = false;
    timer = setTimeout(ask, check.intervalMs);
    timer.unref();
  };
  const ask = (): void => {
    options.fetch(url, { timeoutMs: check.timeoutMs, maxBytes: MAX_ANSWER_BYTES }).then(
      ({ status }) => note(check.healthyStatuses.includes(status)),
      () => note(false),
    );
  };
  ask();
  return () => {
    isStopped = true;
    clearTimeout(timer);
    target.isPassingChecks = undefined;
  };
}
