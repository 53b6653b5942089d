// Knows every upstream of the current document: balancers by api, target states kept over changes of configuration.
// Must not talk to targets: checks and tries do that.
import { type DocumentState, EMPTY_DOCUMENT } from '../config.ts';
import { editMap } from '../document/layered-map.ts';
import type { Certificate, Upstream, UpstreamProtocol, UpstreamRef } from '../model.ts';
import type { TargetTls } from '../ports.ts';
import { inSlices, type Steps } from '../slicer.ts';
import {
  authorityOf,
  type Balancer,
  createBalancer,
  type Destination,
  type TargetState,
  targetKey,
} from './balancer.ts';
import { defaultPort, isSecure, toHttpUrl } from './protocol.ts';
import { buildTargetTls, PLAIN_TLS } from './target-tls.ts';

/** How many more URLs than apis are remembered before they are swept. */
const SPARE_URLS = 1000;

/** Is what sends to an upstream, and remembers what was found for it. */
export interface Sender {
  readonly upstream: UpstreamRef;
  destination: Destination | undefined;
}

/** Is what another document makes of the upstreams, ready and not yet in force. */
export interface NextUpstreams {
  commit(): void;
  discard(): void;
}

/** Follows the document. */
export interface Upstreams {
  /**
   * Makes what a document needs beside what is in force; untouched upstreams keep their balancers, and targets what is known
   * of them. `touched` are the ids of the only upstreams that may differ; absent = any. One at a time.
   */
  prepare(next: DocumentState, touched?: ReadonlySet<string>): Steps<NextUpstreams>;
  /** Gives where an api sends to; undefined when its upstream is gone. */
  find(sender: Sender): Destination | undefined;
  /** Gives upstreams with an active health check. */
  listChecked(): readonly { readonly upstream: Upstream; readonly balancer: Balancer }[];
  /** Gives the targets of every named upstream; one that two upstreams share comes twice. */
  listTargets(): readonly { readonly upstream: string; readonly target: TargetState }[];
}

interface Named {
  readonly upstream: Upstream;
  /** The certificate that targets are shown. */
  readonly shown: Certificate | undefined;
  readonly balancer: Balancer;
  readonly destination: Destination;
}

/** Makes an empty registry. */
export function createUpstreams(random: () => number): Upstreams {
  let byName: ReadonlyMap<string, Named> = new Map();
  let checked: ReadonlyMap<string, Named> = new Map();
  /** Those that show their targets a certificate. */
  let showing: ReadonlyMap<string, Named> = new Map();
  const byUrl = new Map<string, Destination>();
  const targets = createTargetStates();
  let document: DocumentState = EMPTY_DOCUMENT;

  const balancerOf = (upstream: Upstream, shown: Certificate | undefined): Balancer => {
    const tls = isSecure(upstream.protocol) ? buildTargetTls(upstream.tls, shown) : undefined;
    return createBalancer({
      members: upstream.targets.map(({ host, port, weight }) => ({
        target: targets.take(upstream.protocol, host, port, tls),
        weight,
      })),
      loadBalancing: upstream.loadBalancing,
      passive: upstream.healthChecks.passive,
      random,
    });
  };

  const destinationOfUrl = (text: string): Destination => {
    const url = new URL(toHttpUrl(text));
    const protocol = text.slice(0, text.indexOf(':')) as UpstreamProtocol;
    const port = Number(url.port) || defaultPort(protocol);
    const host = url.hostname.replace(/^\[|\]$/g, '');
    // One target: ejecting it would only turn an upstream's error into ours.
    return {
      balancer: createBalancer({
        members: [
          { target: targets.take(protocol, host, port, isSecure(protocol) ? PLAIN_TLS : undefined), weight: 1 },
        ],
        loadBalancing: 'round-robin',
        passive: { failures: 0, ejectMs: 0 },
        random,
      }),
      basePath: url.pathname.replace(/\/$/, ''),
      isCurrent: true,
    };
  };

  // URLs that no api names any more would pile up; what is forgotten here is only how idle targets fared.
  const sweepUrls = (apis: number): void => {
    if (byUrl.size <= 2 * apis + SPARE_URLS) return;
    for (const destination of byUrl.values()) {
      destination.isCurrent = false;
      targets.release(destination.balancer.targets);
    }
    byUrl.clear();
  };

  const lookUp = (upstream: UpstreamRef): Destination | undefined => {
    if (typeof upstream !== 'string') return byName.get(upstream.name)?.destination;
    const known = byUrl.get(upstream);
    if (known) return known;
    const destination = destinationOfUrl(upstream);
    byUrl.set(upstream, destination);
    return destination;
  };

  /** Lists the upstreams that differ, and those whose certificate does. */
  function* listChanged(next: DocumentState, touched: ReadonlySet<string> | undefined): Steps<ReadonlySet<string>> {
    const changed = new Set<string>();
    for (const id of touched ?? [...document.upstreams.keys(), ...next.upstreams.keys()]) {
      if (document.upstreams.get(id) !== next.upstreams.get(id)) changed.add(id);
      yield;
    }
    if (next.certificates === document.certificates) return changed;
    const shown = createCertificateFinder(next.certificates);
    for (const named of showing.values()) {
      if (shown.find(named.upstream) !== named.shown) changed.add(named.upstream.id);
    }
    return changed;
  }

  // After the change rather than in it, and a slice at a time: nobody waits for what is gone.
  function* release(all: readonly Named[]): Steps<void> {
    for (const { balancer } of all) {
      targets.release(balancer.targets);
      yield;
    }
    yield* targets.forgetIdle();
  }

  return {
    *prepare(next, touched) {
      const names = editMap(byName);
      const checks = editMap(checked);
      const shows = editMap(showing);
      const fresh: Named[] = [];
      const gone: Named[] = [];
      const shown = createCertificateFinder(next.certificates);
      const changed = yield* listChanged(next, touched);
      // All names first: two upstreams may swap theirs.
      for (const id of changed) {
        const named = byName.get(document.upstreams.get(id)?.name ?? '');
        if (named === undefined) continue;
        gone.push(named);
        for (const edit of [names, checks, shows]) edit.delete(named.upstream.name);
        yield;
      }
      for (const id of changed) {
        const upstream = next.upstreams.get(id);
        if (upstream === undefined) continue;
        const own = shown.find(upstream);
        const balancer = balancerOf(upstream, own);
        const named = { upstream, shown: own, balancer, destination: { balancer, basePath: '', isCurrent: true } };
        fresh.push(named);
        names.set(upstream.name, named);
        if (upstream.healthChecks.active) checks.set(upstream.name, named);
        if (own) shows.set(upstream.name, named);
        yield;
      }
      const [nextNames, nextChecked] = [yield* names.build(), yield* checks.build()];
      const nextShowing = yield* shows.build();
      return {
        commit() {
          [byName, checked, showing, document] = [nextNames, nextChecked, nextShowing, next];
          for (const { destination } of gone) destination.isCurrent = false;
          sweepUrls(next.apis.size);
          void inSlices(release(gone));
        },
        discard: () => void inSlices(release(fresh)),
      };
    },
    find(sender) {
      if (!sender.destination?.isCurrent) sender.destination = lookUp(sender.upstream);
      return sender.destination;
    },
    listChecked: () => [...checked.values()],
    listTargets: () =>
      [...byName.values()].flatMap(({ upstream, balancer }) =>
        balancer.targets.map((target) => ({ upstream: upstream.name, target })),
      ),
  };
}

/** Finds the certificate that an upstream names; names are looked up only when one does. */
function createCertificateFinder(certificates: ReadonlyMap<string, Certificate>): {
  find(upstream: Upstream): Certificate | undefined;
} {
  let byName: ReadonlyMap<string, Certificate> | undefined;
  return {
    find({ tls }) {
      const name = tls.clientCertificate?.name;
      if (name === undefined) return undefined;
      byName ??= new Map([...certificates.values()].map((one) => [one.name, one]));
      return byName.get(name);
    },
  };
}

/** Keeps the states of targets, each while something sends to it. */
interface TargetStates {
  /** Gives the state of a target, to be released one day; the same to all who send there. */
  take(protocol: UpstreamProtocol, host: string, port: number, tls: TargetTls | undefined): TargetState;
  release(targets: readonly TargetState[]): void;
  /** Forgets those that nobody has and no request is on. */
  forgetIdle(): Steps<void>;
}

function createTargetStates(): TargetStates {
  const states = new Map<string, { readonly target: TargetState; users: number }>();
  const unused = new Set<string>();
  return {
    take(protocol, host, port, tls) {
      const key = targetKey(protocol, host, port, tls);
      const known = states.get(key) ?? { target: newTarget({ key, protocol, host, port, tls }), users: 0 };
      states.set(key, known);
      known.users++;
      return known.target;
    },
    release(targets) {
      for (const { key } of targets) {
        const known = states.get(key);
        if (!known) continue;
        known.users--;
        if (known.users === 0) unused.add(key);
      }
    },
    *forgetIdle() {
      for (const key of unused) {
        const known = states.get(key);
        const isUsed = known !== undefined && known.users > 0;
        const isBusy = !isUsed && known !== undefined && known.target.inFlight > 0;
        if (!isUsed && !isBusy) states.delete(key);
        if (!isBusy) unused.delete(key);
        yield;
      }
    },
  };
}

function newTarget(address: {
  readonly key: string;
  readonly protocol: UpstreamProtocol;
  readonly host: string;
  readonly port: number;
  readonly tls: TargetTls | undefined;
}): TargetState {
  const { protocol, host, port } = address;
  return {
    ...address,
    name: `${host}:${port}`,
    authority: authorityOf(protocol, host, port),
    addresses: new Map(),
    inFlight: 0,
    failures: 0,
    ejectedUntilMs: 0,
    isPassingChecks: undefined,
  };
}
