// A gateway that speaks TLS in front of an origin, with certificates of a test's authority.
// Must not open a connection but to see which certificate is shown.
import type { Api, Certificate } from '../../../../gateway/core/model.ts';
import { makeApi, makeCertificateEntity, makeRoute, putAll } from '../../../support/entities.ts';
import { makeAuthority, makeCertificate, type TestCertificate } from '../../../support/wire/certificates.ts';
import { type Origin, startOrigin } from '../../../support/wire/origin.ts';
import {
  openSecure,
  type SecureGateway,
  type SecureGatewayOptions,
  startSecureGateway,
} from '../../../support/wire/secure-gateway.ts';

/** Issues the certificates. */
export const root: TestCertificate = makeAuthority('Root');

/** Makes a certificate as it is configured. */
export function entityFor(name: string, hosts: readonly string[], fields: Partial<Certificate> = {}): Certificate {
  const made = makeCertificate({ name, hosts, issuer: root, usage: 'server' });
  return makeCertificateEntity({ name, hosts, certificate: made.chain, privateKey: made.privateKey, ...fields });
}

/** Is an origin with an api; gateways come and go before it. */
export interface TlsStage {
  readonly origin: Origin;
  readonly api: Api;
  /** Starts a gateway that shows these. */
  start(certificates: readonly Certificate[], options?: SecureGatewayOptions): Promise<SecureGateway>;
}

/** Starts the origin. */
export async function openTlsStage(): Promise<TlsStage> {
  const origin = await startOrigin();
  const api = makeApi({ name: 'api', upstream: origin.url, routes: [makeRoute({ paths: ['/'] })] });
  return {
    origin,
    api,
    async start(certificates, options) {
      const gateway = await startSecureGateway(options);
      await gateway.apply(putAll({ certificates, apis: [api] }));
      return gateway;
    },
  };
}

/** Gives the common name of the certificate that is shown for a name. */
export async function shownFor(gateway: SecureGateway, servername: string): Promise<string> {
  const client = await openSecure(gateway.tlsPort, { servername });
  const { subject } = client.socket.getPeerCertificate();
  client.close();
  return String(subject.CN);
}
