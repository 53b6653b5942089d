// Asks targets whether they are well, on a schedule, and notes the answer in their state.
// Must not hold the process alive, and must not outlive the upstream it was made for.
import type { ActiveHealthCheck } from '../model.ts';
import type { UpstreamClient } from '../ports.ts';
import type { Balancer, TargetState } from './balancer.ts';
import type { Upstreams } from './upstreams.ts';

/** Largest answer that is read to its end, so that its connection can be used again; the status is all that counts. */
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
  /** Carries the traffic: a target is asked in the way in which requests will reach it. */
  readonly client: UpstreamClient;
}

interface Running {
  readonly targets: readonly TargetState[];
  stop(): void;
}

/** Makes a checker; nothing runs before `update`. */
export function createHealthChecker({ upstreams, client }: HealthCheckerOptions): HealthChecker {
  const running = new Map<Balancer, Running>();
  return {
    update() {
      const wanted = new Map(upstreams.listChecked().map((one) => [one.balancer, one.upstream]));
      // An upstream that changed in any way has another balancer.
      const ended = [...running].filter(([balancer]) => !wanted.has(balancer));
      for (const [balancer, checks] of ended) {
        checks.stop();
        running.delete(balancer);
      }
      for (const [balancer, upstream] of wanted) {
        const { targets } = balancer;
        const check = upstream.healthChecks.active;
        if (running.has(balancer) || !check) continue;
        const stops = targets.map((target) => startCheck(target, check, client));
        running.set(balancer, {
          targets,
          stop() {
            for (const stop of stops) stop();
          },
        });
      }
      // After a change of the upstream the old verdict stands until the new check has one: else the sick get traffic.
      const checked = new Set([...running.values()].flatMap(({ targets }) => targets));
      for (const target of ended.flatMap(([, { targets }]) => targets)) {
        if (!checked.has(target)) target.isPassingChecks = undefined;
      }
    },
    close() {
      for (const { stop } of running.values()) stop();
      running.clear();
    },
  };
}

/** Checks one target again and again; gives the function that ends it. A target is taken as healthy until it fails. */
function startCheck(target: TargetState, check: ActiveHealthCheck, client: UpstreamClient): () => void {
  let isStopped = false;
  let inARow = 0;
  let lastWasGood = target.isPassingChecks !== false;
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
    readStatus(target, check, client).then(
      (status) => note(check.healthyStatuses.includes(status)),
      () => note(false),
    );
  };
  ask();
  return () => {
    isStopped = true;
    clearTimeout(timer);
  };
}

function readStatus(target: TargetState, check: ActiveHealthCheck, client: UpstreamClient): Promise<number> {
  const { protocol, host, port, tls } = target;
  const { timeoutMs } = check;
  return new Promise((resolve, reject) => {
    let bytes = 0;
    const end = (): void => clearTimeout(timer);
    const call = client.send(
      { protocol, host, port, tls, connectMs: timeoutMs },
      {
        method: 'GET',
        target: check.path,
        headers: ['Host', target.authority],
        body: undefined,
        responseMs: timeoutMs,
        idleMs: timeoutMs,
      },
      {
        onHead: resolve,
        onChunk(chunk) {
          bytes += chunk.length;
          if (bytes > MAX_ANSWER_BYTES) giveUp();
          return true;
        },
        onEnd: () => end(),
        onInformational() {},
        onUpgrade(_headers, tunnel) {
          tunnel.abort();
          reject(new Error('the target switched protocols'));
        },
        onError(_failure, cause) {
          end();
          reject(cause);
        },
      },
    );
    const giveUp = (): void => {
      end();
      call.abort();
      reject(new Error(`no whole answer in ${timeoutMs} ms`));
    };
    // Over all of it: bytes that drip in must not hold a connection for ever.
    const timer = setTimeout(giveUp, timeoutMs);
    timer.unref();
  });
}
