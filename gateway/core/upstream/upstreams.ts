// Knows every upstream of the current document: balancers by api, target states kept over changes of configuration.
// Must not talk to targets: checks and tries do that.
import type { DocumentState } from '../config.ts';
import type { Api, Upstream } from '../model.ts';
import { authorityOf, type Balancer, createBalancer, type TargetState, targetKey } from './balancer.ts';

/** How many more URLs than apis are remembered before they are swept. */
const SPARE_URLS = 1000;

/** Is where an api sends to. */
export interface Destination {
  readonly balancer: Balancer;
  /** Path put before the request's, without a slash at its end. */
  readonly basePath: string;
}

/** Follows the document. */
export interface Upstreams {
  /** Brings balancers and target states to a new document; untouched upstreams keep their state. */
  update(document: DocumentState): void;
  /** Gives where an api sends to; undefined when its upstream is gone. */
  find(api: Api): Destination | undefined;
  /** Gives upstreams with an active health check. */
  listChecked(): readonly { readonly upstream: Upstream; readonly balancer: Balancer }[];
  /** Gives the targets of every named upstream; one that two upstreams share comes twice. */
  listTargets(): readonly { readonly upstream: string; readonly target: TargetState }[];
}

/** Makes an empty registry. */
export function createUpstreams(random: () => number): Upstreams {
  let byName = new Map<string, { upstream: Upstream; balancer: Balancer }>();
  const targets = new Map<string, TargetState>();
  const byUrl = new Map<string, Destination>();
  let document: DocumentState | undefined;

  const targetOf = (
    protocol: 'http' | 'https',
    host: string,
    port: number,
    tls: Upstream['tls'] | undefined,
  ): TargetState => {
    const key = targetKey(protocol, host, port, tls);
    const known = targets.get(key);
    if (known) return known;
    const target: TargetState = {
      key,
      protocol,
      host,
      port,
      tls: protocol === 'https' ? (tls ?? { verify: true }) : undefined,
      authority: authorityOf(protocol, host, port),
      addresses: new Map(),
      inFlight: 0,
      failures: 0,
      ejectedUntilMs: 0,
      isPassingChecks: undefined,
    };
    targets.set(key, target);
    return target;
  };

  const balancerOf = (upstream: Upstream): Balancer =>
    createBalancer({
      members: upstream.targets.map(({ host, port, weight }) => ({
        target: targetOf(upstream.protocol, host, port, upstream.tls),
        weight,
      })),
      loadBalancing: upstream.loadBalancing,
      passive: upstream.healthChecks.passive,
      random,
    });

  const destinationOfUrl = (text: string): Destination => {
    const url = new URL(text);
    const protocol = url.protocol === 'https:' ? 'https' : 'http';
    const port = Number(url.port) || (protocol === 'https' ? 443 : 80);
    const host = url.hostname.replace(/^\[|\]$/g, '');
    // One target: ejecting it would only turn an upstream's error into ours.
    return {
      balancer: createBalancer({
        members: [{ target: targetOf(protocol, host, port, undefined), weight: 1 }],
        loadBalancing: 'round-robin',
        passive: { failures: 0, ejectMs: 0 },
        random,
      }),
      basePath: url.pathname.replace(/\/$/, ''),
    };
  };

  return {
    update(next) {
      if (next.upstreams !== document?.upstreams) {
        const before = byName;
        byName = new Map();
        for (const upstream of next.upstreams.values()) {
          const known = before.get(upstream.name);
          byName.set(
            upstream.name,
            known?.upstream === upstream ? known : { upstream, balancer: balancerOf(upstream) },
          );
        }
      }
      // URLs that no api names any more would pile up; what is forgotten here is only how idle targets fared.
      if (byUrl.size > 2 * next.apis.size + SPARE_URLS) byUrl.clear();
      forgetIdle(targets, byName, byUrl);
      document = next;
    },
    find(api) {
      if (typeof api.upstream !== 'string') {
        const named = byName.get(api.upstream.name);
        return named && { balancer: named.balancer, basePath: '' };
      }
      const known = byUrl.get(api.upstream);
      if (known) return known;
      const destination = destinationOfUrl(api.upstream);
      byUrl.set(api.upstream, destination);
      return destination;
    },
    listChecked: () => [...byName.values()].filter(({ upstream }) => upstream.healthChecks.active),
    listTargets: () =>
      [...byName.values()].flatMap(({ upstream, balancer }) =>
        balancer.targets.map((target) => ({ upstream: upstream.name, target })),
      ),
  };
}

function forgetIdle(
  targets: Map<string, TargetState>,
  byName: ReadonlyMap<string, { readonly balancer: Balancer }>,
  byUrl: ReadonlyMap<string, Destination>,
): void {
  const used = new Set<TargetState>();
  for (const { balancer } of [...byName.values(), ...byUrl.values()]) {
    for (const target of balancer.targets) used.add(target);
  }
  for (const [key, target] of targets) if (!used.has(target) && target.inFlight === 0) targets.delete(key);
}
