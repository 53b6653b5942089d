// Which certificate a client is shown and what it is asked for, by the name that it asks for.
// Must not accept connections: handshakes.ts brings them.
import { constants, hkdfSync, randomBytes, X509Certificate } from 'node:crypto';
import { createSecureContext, createServer, type Server, type TLSSocket } from 'node:tls';
import type { EntityProblem } from '../../core/check.ts';
import type { Certificate } from '../../core/model.ts';
import { createSlicer } from '../../core/slicer.ts';
import { type ClientPolicies, type HandshakePolicy, NO_POLICIES } from '../../core/tls/client-policies.ts';
import { CIPHERS, MIN_VERSION } from './defaults.ts';
import { keepPeerChains } from './peer-chain.ts';

/** Is what handshakes for one name are made with. */
export interface SecureHost {
  /** Never listens: connections are handed to it. */
  readonly server: Server;
  readonly policy: HandshakePolicy;
}

/** Is a set of certificates ready to be shown, or why not. */
export type PreparedHosts =
  | { readonly ok: true; commit(): void }
  | { readonly ok: false; readonly problems: readonly EntityProblem[] };

/** Is what secure hosts are made of. */
export interface SecureHostsOptions {
  /** Protocols offered, the preferred first. */
  readonly alpn: readonly string[];
  onSecure(socket: TLSSocket): void;
  onFailed(error: Error, socket: TLSSocket): void;
}

/** Finds what a client that asks for a name is to be shown. */
export interface SecureHosts {
  /** Loads certificates beside those in force. Connections that are open, and handshakes under way, keep what they have. */
  prepare(certificates: ReadonlyMap<string, Certificate>, policies: ClientPolicies): Promise<PreparedHosts>;
  /** Gives the host for a name as sent; undefined when there is no certificate at all. */
  find(name: string | undefined): SecureHost | undefined;
  /** Seals tickets with other keys from now on: those given before mean a full handshake. */
  setTicketSecret(secret: Uint8Array): void;
}

/** Most policies under which one certificate is kept ready. */
const MAX_POLICIES = 64;
/** How long a ticket is good, unless the keys change before. */
const SESSION_SECONDS = 3_600;
/** What Node's `setTicketKeys` takes: name, HMAC key, AES key. */
const TICKET_KEY_BYTES = 48;

// In TLS 1.2 clients could ask again for the costly part as often as they like.
const SECURE_OPTIONS = constants.SSL_OP_NO_RENEGOTIATION;

interface Loaded {
  readonly certificate: Certificate;
  readonly fingerprint: string;
  /** By policy; made when first asked for. */
  readonly servers: Map<string, Made>;
}

interface Made extends SecureHost {
  ticketSecret: Uint8Array;
}

interface InForce {
  readonly certificates: ReadonlyMap<string, Certificate> | undefined;
  readonly byHost: ReadonlyMap<string, Loaded>;
  readonly byDefault: Loaded | undefined;
  readonly policies: ClientPolicies;
}

/** Makes secure hosts without certificates. */
export function createSecureHosts(options: SecureHostsOptions): SecureHosts {
  // An entity that did not change keeps what was made of it.
  const loaded = new WeakMap<Certificate, Loaded>();
  let inForce: InForce = { certificates: undefined, byHost: new Map(), byDefault: undefined, policies: NO_POLICIES };
  let ticketSecret: Uint8Array = randomBytes(TICKET_KEY_BYTES);
  const replace = (next: InForce): PreparedHosts => ({
    ok: true,
    commit() {
      inForce = next;
    },
  });

  return {
    async prepare(certificates, policies) {
      // Most changes are about something else.
      if (certificates === inForce.certificates) return replace({ ...inForce, policies });
      const problems: EntityProblem[] = [];
      const all: Loaded[] = [];
      const slicer = createSlicer();
      for (const certificate of certificates.values()) {
        const known = loaded.get(certificate);
        const one = known ?? load(certificate);
        if ('message' in one) {
          problems.push({ kind: 'certificate', id: certificate.id, code: 'INVALID', ...one });
          continue;
        }
        loaded.set(certificate, one);
        all.push(one);
        const pause = slicer.step();
        if (pause) await pause;
      }
      if (problems.length > 0) return { ok: false, problems };
      return replace({ ...index(all), certificates, policies });
    },
    find(name) {
      const host = name?.toLowerCase().replace(/\.$/, '');
      const found = findLoaded(inForce, host);
      if (!found) return undefined;
      const policy = inForce.policies.find(host);
      // What was asked once and is not asked any more would pile up.
      if (found.servers.size > MAX_POLICIES) found.servers.clear();
      const made = found.servers.get(policy.id) ?? makeServer(found, policy, ticketSecret, options);
      found.servers.set(policy.id, made);
      if (made.ticketSecret !== ticketSecret) {
        made.ticketSecret = ticketSecret;
        made.server.setTicketKeys(deriveTicketKeys(ticketSecret, found.fingerprint));
      }
      return made;
    },
    setTicketSecret(secret) {
      ticketSecret = secret;
    },
  };
}

function index(all: readonly Loaded[]): Pick<InForce, 'byHost' | 'byDefault'> {
  const byHost = new Map<string, Loaded>();
  for (const one of all) for (const host of one.certificate.hosts) byHost.set(host, one);
  const shown = all.filter(({ certificate }) => certificate.hosts.length > 0);
  shown.sort((a, b) => (a.certificate.name < b.certificate.name ? -1 : 1));
  return { byHost, byDefault: shown[0] };
}

function findLoaded({ byHost, byDefault }: InForce, host: string | undefined): Loaded | undefined {
  if (host === undefined) return byDefault;
  // A wildcard stands for one label, as clients read it: RFC 6125 section 6.4.3.
  return byHost.get(host) ?? byHost.get(`*${host.slice(host.indexOf('.'))}`) ?? byDefault;
}

function load(certificate: Certificate): Loaded | { readonly pointer: string; readonly message: string } {
  if (certificate.privateKey.startsWith('v1.')) {
    return { pointer: '/privateKey', message: "expected a key sealed with this installation's key" };
  }
  try {
    createSecureContext(contextOf(certificate));
    const { fingerprint256: fingerprint } = new X509Certificate(certificate.certificate);
    return { certificate, fingerprint, servers: new Map() };
  } catch (error) {
    // The text of the error could quote what it was given.
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    return { pointer: '/certificate', message: `expected a certificate that OpenSSL loads with its key, got ${code}` };
  }
}

function contextOf({ certificate, privateKey }: Certificate): Parameters<typeof createSecureContext>[0] {
  // Without `ca` every context would carry the usual authorities, which nobody asks here.
  return { cert: certificate, key: privateKey, ca: [], minVersion: MIN_VERSION, ciphers: CIPHERS };
}

function makeServer(
  { certificate, fingerprint }: Loaded,
  policy: HandshakePolicy,
  ticketSecret: Uint8Array,
  { alpn, onSecure, onFailed }: SecureHostsOptions,
): Made {
  const asks = policy.authorities.length > 0;
  if (asks) keepPeerChains();
  const server = createServer({
    ...contextOf(certificate),
    // All are strong: the client knows which is quick for it.
    honorCipherOrder: false,
    ALPNProtocols: [...alpn],
    sessionTimeout: SESSION_SECONDS,
    // A ticket is good for the same certificate alone, and none is given where clients prove who they are: a resumed
    // session would carry that proof over to another host or past the removal of an authority. CVE-2025-23419.
    sessionIdContext: fingerprint.replaceAll(':', '').slice(0, 32),
    ticketKeys: deriveTicketKeys(ticketSecret, fingerprint),
    secureOptions: asks ? SECURE_OPTIONS | constants.SSL_OP_NO_TICKET : SECURE_OPTIONS,
    ...(asks ? { ca: [...policy.authorities], requestCert: true, rejectUnauthorized: false } : {}),
  });
  server.on('secureConnection', onSecure);
  server.on('tlsClientError', onFailed);
  return { server, policy, ticketSecret };
}

function deriveTicketKeys(secret: Uint8Array, fingerprint: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `sallyport tickets ${fingerprint}`, TICKET_KEY_BYTES));
}
