// Checks what single entities say about TLS: whom clients and targets are verified by.
// Must not judge time: a certificate that expires must not hold up every later change. Its key is the control plane's affair.
import type { Problem } from '../errors.ts';
import type { Api, Upstream } from '../model.ts';
import { isSecure } from '../upstream/protocol.ts';
import { findClientAuthorityFault, findTargetAuthorityFault } from './authorities.ts';

/** Finds why an api cannot ask clients for certificates. */
export function findPolicyFault({ clientCertificate }: Api): Problem | undefined {
  const message = clientCertificate && findClientAuthorityFault(clientCertificate.ca);
  return message === undefined ? undefined : invalid('/clientCertificate/ca', message);
}

/** Finds why an upstream cannot be spoken to as it says. A setting that would be ignored is a fault too: who wrote it relies on it. */
export function findUpstreamFault({ protocol, tls }: Upstream): Problem | undefined {
  const { ca, clientCertificate, verify } = tls;
  if (ca === undefined && clientCertificate === undefined) return undefined;
  if (!isSecure(protocol)) return invalid('/protocol', 'expected https or h2: tls names a ca or a clientCertificate');
  if (ca === undefined) return undefined;
  if (!verify) return invalid('/tls/verify', 'expected true: tls names a ca');
  const message = findTargetAuthorityFault(ca);
  return message === undefined ? undefined : invalid('/tls/ca', message);
}

function invalid(pointer: string, message: string): Problem {
  return { pointer, code: 'INVALID', message };
}
