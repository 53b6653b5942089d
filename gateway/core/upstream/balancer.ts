// Chooses a target and remembers how targets fare.
// Must not open connections or follow a clock of its own.
import type { LoadBalancing, PassiveHealthCheck, UpstreamProtocol } from '../model.ts';
import type { TargetAddress, TargetTls } from '../ports.ts';
import { defaultPort } from './protocol.ts';

/** Is a target with what is known of it. Shared by every api that sends to the same address. */
export interface TargetState {
  readonly key: string;
  readonly protocol: UpstreamProtocol;
  readonly host: string;
  readonly port: number;
  /** Host and port, as logs name it. */
  readonly name: string;
  readonly tls: TargetAddress['tls'];
  /** Host header for it: host, and the port unless it is the protocol's own. */
  readonly authority: string;
  /** Addresses as handed to the client, by connect time-out. */
  readonly addresses: Map<number, TargetAddress>;
  inFlight: number;
  /** Failures in a row, by live traffic. */
  failures: number;
  /** Monotonic milliseconds until which it rests. */
  ejectedUntilMs: number;
  /** What the active check says; undefined = not checked. */
  isPassingChecks: boolean | undefined;
}

interface Member {
  readonly target: TargetState;
  readonly weight: number;
  /** Running credit of smooth weighted round-robin. */
  credit: number;
}

/** Chooses among the targets of one upstream. */
export interface Balancer {
  readonly targets: readonly TargetState[];
  /** Gives a healthy target, one not in `tried` if there is one; undefined when none is healthy. */
  choose(tried: readonly TargetState[], nowMs: number): TargetState | undefined;
  /** Tells that a target answered. */
  reportSuccess(target: TargetState): void;
  /** Tells that a target failed. */
  reportFailure(target: TargetState, nowMs: number): void;
  /** Takes one retry out of the budget; false when it is spent. */
  takeRetry(): boolean;
}

/** Is where an api sends to. */
export interface Destination {
  readonly balancer: Balancer;
  /** Path put before the request's, without a slash at its end. */
  readonly basePath: string;
  /** False = it was changed or forgotten, and is to be looked up again. */
  isCurrent: boolean;
}

/** Is what a balancer is made of. */
export interface BalancerOptions {
  readonly members: readonly { readonly target: TargetState; readonly weight: number }[];
  readonly loadBalancing: LoadBalancing;
  readonly passive: PassiveHealthCheck;
  readonly random: () => number;
}

/** Retries may be at most this share of requests, beside a reserve: a dying upstream must not get double the load. */
const RETRY_SHARE = 0.2;
const RETRY_RESERVE = 10;

/** Makes a balancer. Targets of weight 0 take no traffic. */
export function createBalancer(options: BalancerOptions): Balancer {
  const members: Member[] = options.members.filter(({ weight }) => weight > 0).map((one) => ({ ...one, credit: 0 }));
  const targets = options.members.map(({ target }) => target);
  let retryBudget = RETRY_RESERVE;

  const isHealthy = (target: TargetState, nowMs: number): boolean =>
    target.isPassingChecks !== false && target.ejectedUntilMs <= nowMs;

  return {
    targets,
    choose(tried, nowMs) {
      if (tried.length === 0) retryBudget = Math.min(RETRY_RESERVE * 10, retryBudget + RETRY_SHARE);
      const only = members[0];
      if (members.length === 1 && only) return isHealthy(only.target, nowMs) ? only.target : undefined;
      const healthy = members.filter(({ target }) => isHealthy(target, nowMs));
      const fresh = healthy.filter(({ target }) => !tried.includes(target));
      return pick(fresh.length > 0 ? fresh : healthy, options);
    },
    reportSuccess(target) {
      target.failures = 0;
    },
    reportFailure(target, nowMs) {
      target.failures++;
      const { failures, ejectMs } = options.passive;
      if (failures === 0 || target.failures < failures) return;
      // The last one standing is never ejected: a guess from live traffic must not turn a slow service into none.
      const others = members.filter((one) => one.target !== target && isHealthy(one.target, nowMs));
      if (others.length > 0) target.ejectedUntilMs = nowMs + ejectMs;
    },
    takeRetry() {
      if (retryBudget < 1) return false;
      retryBudget--;
      return true;
    },
  };
}

function pick(members: readonly Member[], options: BalancerOptions): TargetState | undefined {
  switch (options.loadBalancing) {
    case 'round-robin':
      return pickRoundRobin(members);
    case 'least-connections':
      return pickLeast(members);
    case 'random':
      return pickRandom(members, options.random());
  }
}

// Smooth weighted round-robin: over any run of picks each target gets its share, evenly spread.
function pickRoundRobin(members: readonly Member[]): TargetState | undefined {
  let total = 0;
  let best: Member | undefined;
  for (const member of members) {
    member.credit += member.weight;
    total += member.weight;
    if (!best || member.credit > best.credit) best = member;
  }
  if (best) best.credit -= total;
  return best?.target;
}

function pickLeast(members: readonly Member[]): TargetState | undefined {
  let best: Member | undefined;
  for (const member of members) {
    if (!best || member.target.inFlight * best.weight < best.target.inFlight * member.weight) best = member;
  }
  return best?.target;
}

function pickRandom(members: readonly Member[], random: number): TargetState | undefined {
  const total = members.reduce((sum, { weight }) => sum + weight, 0);
  let point = random * total;
  for (const member of members) {
    point -= member.weight;
    if (point < 0) return member.target;
  }
  return members.at(-1)?.target;
}

/** Gives what an upstream's target is called: two apis that send there share its state and its connections. */
export function targetKey(protocol: UpstreamProtocol, host: string, port: number, tls: TargetTls | undefined): string {
  return `${protocol}://${host}:${port}#${tls?.id ?? ''}`;
}

/** Gives the Host header for an address. @see RFC 9110 section 7.2 */
export function authorityOf(protocol: UpstreamProtocol, host: string, port: number): string {
  const name = host.includes(':') ? `[${host}]` : host;
  return port === defaultPort(protocol) ? name : `${name}:${port}`;
}
