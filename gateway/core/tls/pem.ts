// Reads certificates out of PEM text: strict about what the blocks are, silent about what stands between them.
// Must not judge a certificate: that is certificate.ts and authorities.ts.
import { X509Certificate } from 'node:crypto';

/** Is what a text holds, or why it cannot be read. */
export type ReadCertificates =
  | { readonly ok: true; readonly certificates: readonly X509Certificate[] }
  | { readonly ok: false; readonly message: string };

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[A-Za-z0-9+/=\s]*-----END \1-----/g;
const BEGIN = /-----BEGIN /g;

/** Reads 1 to `maxCount` certificates, in their order. A text with anything else in it, such as a private key, is refused. */
export function readCertificates(text: string, maxCount: number): ReadCertificates {
  const blocks = [...text.matchAll(BLOCK)];
  if (blocks.length === 0) return refuse('expected PEM: -----BEGIN CERTIFICATE-----');
  if (blocks.length !== [...text.matchAll(BEGIN)].length) return refuse('a PEM block is not whole');
  const other = blocks.find(([, label]) => label !== 'CERTIFICATE');
  if (other) return refuse(`expected only certificates, got a block ${other[1]}`);
  if (blocks.length > maxCount) return refuse(`expected at most ${maxCount} certificates, got ${blocks.length}`);
  const certificates: X509Certificate[] = [];
  for (const [index, [block]] of blocks.entries()) {
    const certificate = readOne(block);
    if (!certificate) return refuse(`certificate ${index + 1} cannot be read`);
    certificates.push(certificate);
  }
  return { ok: true, certificates };
}

function refuse(message: string): ReadCertificates {
  return { ok: false, message };
}

function readOne(block: string): X509Certificate | undefined {
  try {
    const certificate = new X509Certificate(block);
    // A key of a kind that OpenSSL does not know shows only when it is asked for.
    return certificate.publicKey === undefined ? undefined : certificate;
  } catch {
    return undefined;
  }
}

/** Writes certificates as PEM, one after the other and nothing else. */
export function writeCertificates(certificates: readonly X509Certificate[]): string {
  return certificates.map(String).join('');
}

/** Says whether `issuer` signed `certificate` and may sign certificates at all. */
export function hasIssued(issuer: X509Certificate, certificate: X509Certificate): boolean {
  try {
    return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  } catch {
    return false;
  }
}
