// Who is asked for a certificate when it connects: decided by host, before anything of a request is known.
// Must not verify anybody: that is client-certificate.ts.
import { createHash } from 'node:crypto';
import type { Api } from '../model.ts';

/** Is what the handshake for a host asks of clients. */
export interface HandshakePolicy {
  /** Is the same for hosts that ask the same; empty = nobody is asked. */
  readonly id: string;
  /** PEM bundles of all apis that may want a certificate there. */
  readonly authorities: readonly string[];
}

/** Gives the policy of each host. */
export interface ClientPolicies {
  /** The apis that want to know their clients, by id. */
  readonly apis: ReadonlyMap<string, Api>;
  /** `host` in lower case, without port; undefined or empty = none was named. */
  find(host: string | undefined): HandshakePolicy;
}

/** Is the policy where no api wants to know. */
const NOBODY_ASKED: HandshakePolicy = { id: '', authorities: [] };

/** Most hosts whose policy is remembered; clients choose the names they ask for. */
const MAX_REMEMBERED = 10_000;

/** Is the policy of every host where no api wants to know. */
export const NO_POLICIES: ClientPolicies = { apis: new Map(), find: () => NOBODY_ASKED };

/**
 * Brings policies to another set of apis, of which only the touched ones may differ; absent = any. Gives the same back when
 * nothing that counts has changed.
 */
export function updateClientPolicies(
  previous: ClientPolicies,
  apis: ReadonlyMap<string, Api>,
  touched?: Iterable<string>,
): ClientPolicies {
  const wanting = new Map(touched ? previous.apis : []);
  for (const id of touched ?? apis.keys()) {
    const api = apis.get(id);
    if (api && wantsToKnow(api)) wanting.set(id, api);
    else wanting.delete(id);
  }
  const isSame =
    wanting.size === previous.apis.size && [...wanting].every(([id, api]) => previous.apis.get(id) === api);
  if (isSame) return previous;
  return wanting.size === 0 ? NO_POLICIES : compile(wanting);
}

function wantsToKnow({ enabled, clientCertificate }: Api): boolean {
  return enabled && clientCertificate !== undefined && clientCertificate.mode !== 'off';
}

function compile(apis: ReadonlyMap<string, Api>): ClientPolicies {
  const everywhere = new Set<string>();
  const byHost = new Map<string, Set<string>>();
  for (const { clientCertificate, routes } of apis.values()) {
    const bundle = clientCertificate?.ca ?? '';
    for (const { hosts } of routes) {
      if (hosts.length === 0) everywhere.add(bundle);
      for (const host of hosts) {
        const bundles = byHost.get(host) ?? new Set();
        byHost.set(host, bundles.add(bundle));
      }
    }
  }
  return new Policies(apis, everywhere, byHost);
}

class Policies implements ClientPolicies {
  readonly apis: ReadonlyMap<string, Api>;
  readonly #everywhere: ReadonlySet<string>;
  readonly #byHost: ReadonlyMap<string, ReadonlySet<string>>;
  readonly #remembered = new Map<string, HandshakePolicy>();

  constructor(
    apis: ReadonlyMap<string, Api>,
    everywhere: ReadonlySet<string>,
    byHost: ReadonlyMap<string, ReadonlySet<string>>,
  ) {
    this.apis = apis;
    this.#everywhere = everywhere;
    this.#byHost = byHost;
  }

  find(host = ''): HandshakePolicy {
    const known = this.#remembered.get(host);
    if (known) return known;
    const policy = toPolicy(new Set([...this.#everywhere, ...this.#listFor(host)]));
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
    this.#remembered.set(host, policy);
    return policy;
  }

  /** Every route that might match counts, not only the one that would win: which one it is depends on the path. */
  *#listFor(host: string): Generator<string> {
    yield* this.#byHost.get(host) ?? [];
    for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) {
      yield* this.#byHost.get(`*${host.slice(dot)}`) ?? [];
    }
  }
}

function toPolicy(bundles: ReadonlySet<string>): HandshakePolicy {
  if (bundles.size === 0) return NOBODY_ASKED;
  const authorities = [...bundles].sort();
  const hash = createHash('sha256');
  for (const bundle of authorities) hash.update(`${bundle.length} ${bundle}`);
  return { id: hash.digest('base64url'), authorities };
}
