// Whether a client's certificate is one that an api accepts: judged per request, remembered per connection.
// Must not know sockets: a listener hands over what the handshake showed.
import type { X509Certificate } from 'node:crypto';
import { GatewayError } from '../errors.ts';
import type { ClientCertificatePolicy } from '../model.ts';
import type { ClientCertificate } from '../plugin.ts';
import type { PeerCertificate, TlsFacts } from '../ports.ts';
import { describeCertificate, listAltNames } from './certificate.ts';
import type { ClientPolicies } from './client-policies.ts';
import { hasIssued, readCertificates } from './pem.ts';

/** Most certificates between a client's and an authority. */
const MAX_DEPTH = 10;

/** Is what a request is judged by. */
export interface ClientToJudge {
  readonly policy: ClientCertificatePolicy;
  readonly policies: ClientPolicies;
  readonly tls: TlsFacts | undefined;
  /** Host of the request, lower case, without port. */
  readonly host: string;
  /** Milliseconds since the Unix epoch. */
  readonly nowMs: number;
}

/** Gives why a request may not reach an api that wants to know its client; undefined = it may. */
export function findClientRefusal(client: ClientToJudge): GatewayError | undefined {
  const { policy, policies, tls, host } = client;
  if (policy.mode === 'off') return undefined;
  const isRequired = policy.mode === 'required';
  if (!tls) return isRequired ? refuse('this api takes requests over TLS with a client certificate only') : undefined;
  // The handshake was for a host that asks others, or for what this host asked before a change. A new connection will do.
  if (tls.policyId !== policies.find(host).id) {
    return new GatewayError(
      'MISDIRECTED_REQUEST',
      'this connection was opened for another host; open one for this host',
    );
  }
  if (!tls.peer) return isRequired ? refuse('this api wants a client certificate, and none was shown') : undefined;
  return isAccepted(tls.peer, policy, client.nowMs)
    ? undefined
    : refuse('the client certificate is not one that this api accepts');
}

function refuse(detail: string): GatewayError {
  return new GatewayError('CLIENT_CERTIFICATE_REFUSED', detail);
}

/**
 * OpenSSL has judged the chain, by the authorities of all apis of the host: times, purpose, constraints. What is left is
 * whether it ends at an authority of this api, and whether it still holds: connections live long.
 */
function isAccepted(peer: PeerCertificate, policy: ClientCertificatePolicy, nowMs: number): boolean {
  if (!peer.isTrusted) return false;
  const known = peer.acceptedUntilMs.get(policy.ca);
  const untilMs = known ?? findEnd(peer.chain, policy.ca);
  if (known === undefined) peer.acceptedUntilMs.set(policy.ca, untilMs);
  return nowMs <= untilMs;
}

/** Gives until when a chain down to one of the authorities holds; -Infinity = it does not end there. */
function findEnd(chain: readonly X509Certificate[], bundle: string): number {
  const authorities = readAuthorities(bundle);
  let untilMs = Number.POSITIVE_INFINITY;
  let child: X509Certificate | undefined;
  for (const certificate of chain) {
    if (child && !hasIssued(certificate, child)) break;
    untilMs = Math.min(untilMs, Date.parse(certificate.validTo));
    const anchor = authorities.find((one) => hasIssued(one, certificate));
    if (anchor) return Math.min(untilMs, Date.parse(anchor.validTo));
    child = certificate;
  }
  return Number.NEGATIVE_INFINITY;
}

const authoritiesOf = new Map<string, readonly X509Certificate[]>();
const MAX_BUNDLES = 1_000;

function readAuthorities(bundle: string): readonly X509Certificate[] {
  const known = authoritiesOf.get(bundle);
  if (known) return known;
  const read = readCertificates(bundle, Number.POSITIVE_INFINITY);
  const authorities = read.ok ? read.certificates : [];
  if (authoritiesOf.size >= MAX_BUNDLES) authoritiesOf.clear();
  authoritiesOf.set(bundle, authorities);
  return authorities;
}

function describeClient(leaf: X509Certificate): ClientCertificate {
  const { subject, issuer, serial, fingerprint256, notAfter } = describeCertificate(leaf);
  return { subject, issuer, serial, fingerprint256, notAfter, subjectAltNames: listAltNames(leaf) };
}

/** Makes what the core remembers of a client's certificate on its connection. `leaf` leads to its issuers. */
export function buildPeer(leaf: X509Certificate, isTrusted: boolean): PeerCertificate {
  const chain: X509Certificate[] = [];
  let at: X509Certificate | undefined = leaf;
  while (at && chain.length <= MAX_DEPTH && !chain.includes(at)) {
    chain.push(at);
    at = at.issuerCertificate;
  }
  return { chain, certificate: describeClient(leaf), isTrusted, acceptedUntilMs: new Map() };
}
