// Checks what a document says about TLS: certificates, who may share a host, whom clients and targets are verified by.
// Must not judge time: a certificate that expires must not hold up every later change. Its key is the control plane's affair.
import type { Problem } from '../errors.ts';
import type { Api, Certificate, Upstream } from '../model.ts';
import { findClientAuthorityFault, findTargetAuthorityFault } from './authorities.ts';
import { findCertificateFaults } from './certificate.ts';

// Entities are immutable, and parsing PEM costs: what was found good stays good.
const goodCertificates = new WeakSet<Certificate>();
const goodUpstreams = new WeakSet<Upstream>();

/** Finds the faults of each certificate, and hosts that two of them claim: who asked for it would get either. */
export function* findFaultsOfCertificates(
  certificates: ReadonlyMap<string, Certificate>,
): Generator<readonly [id: string, fault: Problem]> {
  const owners = new Map<string, Certificate>();
  for (const certificate of certificates.values()) {
    if (!goodCertificates.has(certificate)) {
      const faults = findCertificateFaults(certificate);
      for (const fault of faults) yield [certificate.id, fault];
      if (faults.length === 0) goodCertificates.add(certificate);
    }
    for (const [index, host] of certificate.hosts.entries()) {
      const owner = owners.get(host);
      const message = `expected a host that no other certificate has; ${owner?.name} has ${host}`;
      if (owner) yield [certificate.id, { pointer: `/hosts/${index}`, code: 'NOT_UNIQUE', message }];
      owners.set(host, certificate);
    }
  }
}

/** Finds why an api cannot ask clients for certificates. */
export function findPolicyFault({ clientCertificate }: Api): Problem | undefined {
  const message = clientCertificate && findClientAuthorityFault(clientCertificate.ca);
  return message === undefined ? undefined : invalid('/clientCertificate/ca', message);
}

/** Finds why upstreams cannot be spoken to over TLS as they say. */
export function* findFaultsOfUpstreams(
  upstreams: ReadonlyMap<string, Upstream>,
  certificates: ReadonlyMap<string, Certificate>,
): Generator<readonly [id: string, fault: Problem]> {
  const names = new Set([...certificates.values()].map((certificate) => certificate.name));
  for (const upstream of upstreams.values()) {
    const shown = upstream.tls.clientCertificate?.name;
    if (shown !== undefined && !names.has(shown)) {
      const pointer = '/tls/clientCertificate/name';
      yield [upstream.id, { pointer, code: 'NOT_FOUND', message: `no certificate named ${shown}` }];
    }
    if (goodUpstreams.has(upstream)) continue;
    const fault = findUpstreamFault(upstream);
    if (fault) yield [upstream.id, fault];
    else goodUpstreams.add(upstream);
  }
}

/** Settings that would be ignored are faults too: whoever wrote them relies on them. */
function findUpstreamFault({ protocol, tls }: Upstream): Problem | undefined {
  const { ca, clientCertificate, verify } = tls;
  if (ca === undefined && clientCertificate === undefined) return undefined;
  if (protocol === 'http') return invalid('/protocol', 'expected https: tls names a ca or a clientCertificate');
  if (ca === undefined) return undefined;
  if (!verify) return invalid('/tls/verify', 'expected true: tls names a ca');
  const message = findTargetAuthorityFault(ca);
  return message === undefined ? undefined : invalid('/tls/ca', message);
}

function invalid(pointer: string, message: string): Problem {
  return { pointer, code: 'INVALID', message };
}
