// How the targets of an upstream are spoken to over TLS, with the certificate that it names looked up.
// Must not load anything: the wire does.
import { createHash } from 'node:crypto';
import type { Certificate, UpstreamTls } from '../model.ts';
import type { TargetTls } from '../ports.ts';

/** Is how targets given by URL are spoken to: verified by the usual authorities. */
export const PLAIN_TLS: TargetTls = { id: '', verify: true };

/** Joins what an upstream says with the certificate that it shows, if there is one. */
export function buildTargetTls(tls: UpstreamTls, shown: Certificate | undefined): TargetTls {
  const { verify, serverName, ca } = tls;
  const certificate = shown?.certificate;
  // The key is not part of it: the certificate stands for its key.
  const content = JSON.stringify([verify, serverName, ca, certificate]);
  const isPlain = verify && serverName === undefined && ca === undefined && certificate === undefined;
  return {
    id: isPlain ? PLAIN_TLS.id : createHash('sha256').update(content).digest('base64url'),
    verify,
    ...(serverName === undefined ? {} : { serverName }),
    ...(ca === undefined ? {} : { ca }),
    ...(shown && { shown: { certificate: shown.certificate, privateKey: shown.privateKey } }),
  };
}
