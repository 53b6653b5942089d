// What can be said of a certificate by looking at it: its names, its times, whether its chain and its key will do.
// Must not open a private key or load anything into TLS, and must not look at a clock by itself.
import type { KeyObject, X509Certificate } from 'node:crypto';
import type { Problem } from '../errors.ts';
import type { Certificate } from '../model.ts';
import { HOST_NAME_PATTERN } from '../schemas/shared.ts';
import { hasIssued, readCertificates } from './pem.ts';

/** Longest chain: the leaf and every issuer that is sent along. */
export const MAX_CHAIN = 10;

/** Smallest and largest RSA key accepted, in bits. Larger ones cost each handshake too much. */
const RSA_BITS = { min: 2048, max: 8192 };
const CURVES: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);

const HOST = new RegExp(HOST_NAME_PATTERN);
/** One entry of `subjectAltName` as Node writes it: values that could be misread are quoted (CVE-2021-44532). */
const ALT_NAME = /(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,"]*)/g;

/** Is what people want to know of a certificate. Times are RFC 3339. */
export interface CertificateFacts {
  readonly subject: string;
  readonly issuer: string;
  readonly serial: string;
  readonly notBefore: string;
  readonly notAfter: string;
  /** SHA-256 of the certificate, upper-case hex with colons. */
  readonly fingerprint256: string;
}

/** Describes a certificate. */
export function describeCertificate(leaf: X509Certificate): CertificateFacts {
  return {
    subject: onOneLine(leaf.subject),
    issuer: onOneLine(leaf.issuer),
    serial: leaf.serialNumber,
    notBefore: new Date(leaf.validFrom).toISOString(),
    notAfter: new Date(leaf.validTo).toISOString(),
    fingerprint256: leaf.fingerprint256,
  };
}

// Entities are immutable, and reading one for every look at the metrics would cost.
const ends = new WeakMap<Certificate, number>();

/** Gives when a certificate or any issuer that is sent with it ends, in milliseconds since the Unix epoch. */
export function findEndMs(certificate: Certificate): number {
  const known = ends.get(certificate);
  if (known !== undefined) return known;
  const read = readCertificates(certificate.certificate, MAX_CHAIN);
  const endMs = read.ok ? Math.min(...read.certificates.map(({ validTo }) => Date.parse(validTo))) : 0;
  ends.set(certificate, endMs);
  return endMs;
}

function onOneLine(name: string | undefined): string {
  return (name ?? '').split('\n').join(', ');
}

/** Lists every alternative name as `type:value`, such as `DNS:a.example` or `URI:spiffe://a/b`. */
export function listAltNames(leaf: X509Certificate): readonly string[] {
  return readAltNames(leaf).map(([type, value]) => `${type}:${value}`);
}

function readAltNames(leaf: X509Certificate): readonly (readonly [type: string, value: string])[] {
  return [...(leaf.subjectAltName ?? '').matchAll(ALT_NAME)].map(([, type = '', text = '']) => [
    type,
    // As it was in the certificate, NUL and commas included: what is compared with a name must not be cut. CVE-2025-66220.
    text.startsWith('"') ? String(JSON.parse(text)) : text,
  ]);
}

/** Lists the names that a certificate is for: DNS names in lower case, addresses as they stand in a URL. */
export function listHosts(leaf: X509Certificate): readonly string[] {
  const hosts = new Set<string>();
  for (const [type, value] of readAltNames(leaf)) {
    const host = type === 'DNS' ? value.toLowerCase() : type === 'IP Address' ? toUrlHost(value) : '';
    if (HOST.test(host) && host.length <= 253) hosts.add(host);
  }
  return [...hosts];
}

function toUrlHost(address: string): string {
  if (!address.includes(':')) return address;
  const url = `http://[${address}]`;
  return URL.canParse(url) ? new URL(url).hostname : '';
}

/** Gives every fault of a certificate that time cannot mend. Pointers are relative to it. */
export function findCertificateFaults({ certificate, hosts }: Pick<Certificate, 'certificate' | 'hosts'>): Problem[] {
  const read = readCertificates(certificate, MAX_CHAIN);
  if (!read.ok) return [fault('/certificate', read.message)];
  const [leaf] = read.certificates;
  const message = findChainFault(read.certificates) ?? (leaf && findKeyFault(leaf.publicKey));
  if (message !== undefined) return [fault('/certificate', message)];
  const own = leaf === undefined ? [] : listHosts(leaf);
  // A certificate without names, such as one made by hand for a test, stands for whatever it is said to stand for.
  if (own.length === 0) return [];
  return hosts.flatMap((host, index) =>
    own.some((name) => coversHost(name, host)) ? [] : [fault(`/hosts/${index}`, `the certificate is not for ${host}`)],
  );
}

function fault(pointer: string, message: string): Problem {
  return { pointer, code: 'INVALID', message };
}

function findChainFault(chain: readonly X509Certificate[]): string | undefined {
  for (const [index, certificate] of chain.entries()) {
    const issuer = chain[index + 1];
    if (issuer && !hasIssued(issuer, certificate)) {
      const order = 'expected the leaf first, then the issuer of each';
      return `certificate ${index + 2} did not issue certificate ${index + 1}: ${order}`;
    }
  }
  return undefined;
}

function findKeyFault(key: KeyObject): string | undefined {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'ed25519' || (type === 'ec' && CURVES.has(details?.namedCurve ?? ''))) return undefined;
  if (type !== 'rsa') return 'expected a key of RSA, of EC on P-256, P-384 or P-521, or of Ed25519';
  const bits = details?.modulusLength ?? 0;
  if (bits >= RSA_BITS.min && bits <= RSA_BITS.max) return undefined;
  return `expected an RSA key of ${RSA_BITS.min} to ${RSA_BITS.max} bits, got ${bits}`;
}

/** Says whether a name of a certificate covers a host; a wildcard stands for one label. @see RFC 6125 section 6.4.3 */
function coversHost(name: string, host: string): boolean {
  if (name === host) return true;
  return name.startsWith('*.') && !host.startsWith('*') && host.slice(host.indexOf('.')) === name.slice(1);
}
