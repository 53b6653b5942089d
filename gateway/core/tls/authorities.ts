// Bundles of certificate authorities: whom an api lets issue client certificates, whom an upstream's targets are verified by.
// Must not verify a peer: that is client-certificate.ts and the wire.
import type { X509Certificate } from 'node:crypto';
import { hasIssued, readCertificates } from './pem.ts';

/** Most certificates of one bundle. */
const MAX_AUTHORITIES = 500;
/** Most of a bundle whose names go to clients: the handshake carries them all. */
const MAX_CLIENT_AUTHORITIES = 50;

/** Says why a bundle cannot judge an upstream's targets; undefined = it can. Any certificate in it is trusted as it is. */
export function findTargetAuthorityFault(bundle: string): string | undefined {
  const read = readCertificates(bundle, MAX_AUTHORITIES);
  return read.ok ? undefined : read.message;
}

/** Says why a bundle cannot judge clients; undefined = it can. */
export function findClientAuthorityFault(bundle: string): string | undefined {
  const read = readCertificates(bundle, MAX_CLIENT_AUTHORITIES);
  if (!read.ok) return read.message;
  const index = read.certificates.findIndex((one) => !one.ca || !isAnchored(one, read.certificates));
  const one = read.certificates[index];
  if (!one) return undefined;
  // OpenSSL trusts a chain only down to a root, so that without it no client would ever pass.
  return one.ca
    ? `certificate ${index + 1} is no root and its root is not in the bundle`
    : `certificate ${index + 1} may not issue certificates: it is no authority`;
}

function isAnchored(certificate: X509Certificate, bundle: readonly X509Certificate[]): boolean {
  const seen = new Set<X509Certificate>();
  let at: X509Certificate | undefined = certificate;
  while (at && !seen.has(at)) {
    if (hasIssued(at, at)) return true;
    seen.add(at);
    const child: X509Certificate = at;
    at = bundle.find((one) => hasIssued(one, child));
  }
  return false;
}
