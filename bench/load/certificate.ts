// Makes the certificate that every gateway under test shows: ECDSA on P-256, signed by itself.
// Must not be used but against loopback.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeCertificate } from '../../test/support/wire/certificates.ts';

/** Is the name that load generators ask for. wrk takes it from the URL, so that it must lead to loopback. */
export const SERVER_NAME = 'localhost';

/** Is a certificate with its key. */
export interface BenchCertificate {
  /** PEM. */
  readonly certificate: string;
  /** PEM. */
  readonly privateKey: string;
  readonly certificateFile: string;
  readonly privateKeyFile: string;
}

/** Makes a certificate, and keeps it in a directory for programs that want files. */
export function writeCertificate(directory: string): BenchCertificate {
  const { certificate, privateKey } = makeCertificate({ name: SERVER_NAME, hosts: [SERVER_NAME], usage: 'server' });
  const [certificateFile, privateKeyFile] = [join(directory, 'certificate.pem'), join(directory, 'key.pem')];
  writeFileSync(certificateFile, certificate);
  writeFileSync(privateKeyFile, privateKey, { mode: 0o600 });
  return { certificate, privateKey, certificateFile, privateKeyFile };
}
