// Makes X.509 certificates for tests: DER written by hand, signed by node:crypto. Nothing is installed, nothing lies on disk.
// Must not be taken for a library: it writes what the tests need and reads nothing.
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

/** Is a certificate with its key, and the chain that it is sent with. */
export interface TestCertificate {
  /** PEM of this certificate alone. */
  readonly certificate: string;
  /** PEM of this one and its issuers up to below the root. */
  readonly chain: string;
  /** PEM, PKCS #8. */
  readonly privateKey: string;
  readonly name: string;
  readonly key: KeyObject;
  /** Undefined for a root. */
  readonly issuer: TestCertificate | undefined;
}

/** Says what to make. Without an issuer it signs itself. */
export interface CertificateOptions {
  /** Common name. */
  readonly name: string;
  /** DNS names and IPv4 addresses it is for. */
  readonly hosts?: readonly string[];
  readonly issuer?: TestCertificate;
  readonly isAuthority?: boolean;
  readonly usage?: 'server' | 'client';
  readonly key?: 'p256' | 'p384' | 'secp256k1' | 'ed25519' | 'rsa1024' | 'rsa2048';
  /** Days from now; may be negative. Default 1 day ago, and in 365. */
  readonly fromDays?: number;
  readonly toDays?: number;
}

const OIDS = {
  commonName: '550403',
  basicConstraints: '551d13',
  keyUsage: '551d0f',
  extendedKeyUsage: '551d25',
  subjectAltName: '551d11',
  serverAuth: '2b06010505070301',
  clientAuth: '2b06010505070302',
  ecdsaSha256: '2a8648ce3d040302',
  rsaSha256: '2a864886f70d01010b',
  ed25519: '2b6570',
} as const;

const DAY_MS = 86_400_000;

/** Makes an authority that signs others. */
export function makeAuthority(name: string, options: Partial<CertificateOptions> = {}): TestCertificate {
  return makeCertificate({ ...options, name, isAuthority: true });
}

/** Makes a certificate. */
export function makeCertificate(options: CertificateOptions): TestCertificate {
  const { name, issuer } = options;
  const { privateKey, publicKey } = makeKeys(options.key ?? 'p256');
  const signer = issuer?.key ?? privateKey;
  const algorithm = algorithmOf(signer);
  const now = Date.now();
  const tbs = sequence(
    tag(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    nameOf(issuer?.name ?? name),
    sequence(time(now + (options.fromDays ?? -1) * DAY_MS), time(now + (options.toDays ?? 365) * DAY_MS)),
    nameOf(name),
    publicKey.export({ type: 'spki', format: 'der' }),
    tag(0xa3, sequence(...listExtensions(options))),
  );
  const signature = sign(signer.asymmetricKeyType === 'ed25519' ? null : 'sha256', tbs, signer);
  const certificate = toPem(sequence(tbs, algorithm, bits(signature)));
  const isRoot = issuer === undefined;
  return {
    certificate,
    chain: isRoot || issuer.issuer === undefined ? certificate : certificate + issuer.chain,
    privateKey: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
    name,
    key: privateKey,
    issuer,
  };
}

function makeKeys(kind: NonNullable<CertificateOptions['key']>): { privateKey: KeyObject; publicKey: KeyObject } {
  if (kind === 'ed25519') return generateKeyPairSync('ed25519');
  if (kind.startsWith('rsa')) return generateKeyPairSync('rsa', { modulusLength: Number(kind.slice(3)) });
  const curves = { p256: 'P-256', p384: 'P-384', secp256k1: 'secp256k1' } as const;
  return generateKeyPairSync('ec', { namedCurve: curves[kind as keyof typeof curves] });
}

function algorithmOf(key: KeyObject): Buffer {
  if (key.asymmetricKeyType === 'ed25519') return sequence(oid(OIDS.ed25519));
  if (key.asymmetricKeyType === 'rsa') return sequence(oid(OIDS.rsaSha256), tag(0x05, Buffer.alloc(0)));
  return sequence(oid(OIDS.ecdsaSha256));
}

function listExtensions({ hosts = [], isAuthority = false, usage }: CertificateOptions): Buffer[] {
  const truth = tag(0x01, Buffer.from([0xff]));
  const critical = (id: string, value: Buffer): Buffer => sequence(oid(id), truth, tag(0x04, value));
  const plain = (id: string, value: Buffer): Buffer => sequence(oid(id), tag(0x04, value));
  return [
    critical(OIDS.basicConstraints, isAuthority ? sequence(truth) : sequence()),
    // keyCertSign and cRLSign, or digitalSignature.
    critical(OIDS.keyUsage, tag(0x03, Buffer.from(isAuthority ? [1, 0x06] : [7, 0x80]))),
    ...(usage === undefined
      ? []
      : [plain(OIDS.extendedKeyUsage, sequence(oid(usage === 'server' ? OIDS.serverAuth : OIDS.clientAuth)))]),
    ...(hosts.length === 0 ? [] : [plain(OIDS.subjectAltName, sequence(...hosts.map(altName)))]),
  ];
}

function altName(host: string): Buffer {
  const isAddress = /^\d+(\.\d+){3}$/.test(host);
  return isAddress ? tag(0x87, Buffer.from(host.split('.').map(Number))) : tag(0x82, Buffer.from(host, 'latin1'));
}

function nameOf(commonName: string): Buffer {
  return sequence(tag(0x31, sequence(oid(OIDS.commonName), tag(0x0c, Buffer.from(commonName)))));
}

function time(ms: number): Buffer {
  const text = new Date(ms).toISOString().replace(/[-:T]/g, '').slice(0, 14);
  // From 2050 on years have four digits: RFC 5280 section 4.1.2.5.
  return text < '2050' ? tag(0x17, Buffer.from(`${text.slice(2)}Z`)) : tag(0x18, Buffer.from(`${text}Z`));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tag(0x30, Buffer.concat(parts));
}

function integer(bytes: Buffer): Buffer {
  return tag(0x02, bytes);
}

function oid(hex: string): Buffer {
  return tag(0x06, Buffer.from(hex, 'hex'));
}

function bits(bytes: Buffer): Buffer {
  return tag(0x03, Buffer.concat([Buffer.from([0]), bytes]));
}

function tag(type: number, value: Buffer): Buffer {
  const { length } = value;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([type, ...size]), value]);
}

function toPem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
