import type { Api, Certificate, ClientCertificatePolicy } from '../../../../gateway/core/model.ts';
import type { ClientCertificate } from '../../../../gateway/core/plugin.ts';
import { makePlugin } from '../../../support/engine.ts';
import { makeApi, makeBinding, makeCertificateEntity, makeRoute, putAll } from '../../../support/entities.ts';
import { makeAuthority, makeCertificate, type TestCertificate } from '../../../support/wire/certificates.ts';
import { type Origin, startOrigin } from '../../../support/wire/origin.ts';
import {
  openSecure,
  type SecureAnswer,
  type SecureGateway,
  startSecureGateway,
} from '../../../support/wire/secure-gateway.ts';

/** Vouches for the clients of the apis. */
export const root: TestCertificate = makeAuthority('Clients Root');
/** Issues in its name. */
export const inter: TestCertificate = makeAuthority('Clients Intermediate', { issuer: root });
/** Vouches for nobody here. */
export const foreignRoot: TestCertificate = makeAuthority('Foreign Root');
// Says the same name as ours and has another key.
const impostor: TestCertificate = makeAuthority('Clients Root');
const server: TestCertificate = makeCertificate({
  name: 'gateway',
  hosts: ['a.test', 'b.test', 'c.test', '*.w.test'],
  usage: 'server',
});

/** Is good. */
export const alice: TestCertificate = makeCertificate({
  name: 'alice',
  hosts: ['alice.test'],
  issuer: inter,
  usage: 'client',
});
/** Comes from an authority that nobody asked for. */
export const foreign: TestCertificate = makeCertificate({ name: 'mallory', issuer: foreignRoot, usage: 'client' });
/** Says what alice's says, under an authority that says what ours says. */
export const forged: TestCertificate = makeCertificate({ name: 'alice', issuer: impostor, usage: 'client' });
/** Was good until yesterday. */
export const expired: TestCertificate = makeCertificate({
  name: 'old',
  issuer: root,
  usage: 'client',
  fromDays: -9,
  toDays: -1,
});
/** Is for servers. */
export const misused: TestCertificate = makeCertificate({ name: 'server', issuer: root, usage: 'server' });
/** Vouches for itself. */
export const selfSigned: TestCertificate = makeCertificate({ name: 'self', usage: 'client' });
/** Is good until tomorrow. */
export const soon: TestCertificate = makeCertificate({ name: 'soon', issuer: root, usage: 'client', toDays: 1 });
/** Was issued by a leaf, which may not issue. */
export const underLeaf: TestCertificate = makeCertificate({ name: 'under', issuer: alice, usage: 'client' });

/** Is what an api asks of its clients; unless said otherwise, a certificate that its authority vouches for. */
export const policy = (fields: Partial<ClientCertificatePolicy> = {}): ClientCertificatePolicy => ({
  mode: 'required',
  ca: root.certificate,
  forward: false,
  ...fields,
});
/** Gives what a client shows, as node:tls takes it. */
export const shownBy = (one: TestCertificate): { cert: string; key: string } => ({
  cert: one.chain,
  key: one.privateKey,
});
/** Gives the code of an error, else the body. */
export const codeOf = ({ body }: SecureAnswer): string => (body.startsWith('{') ? JSON.parse(body).code : body);

/** Is a gateway over TLS, in front of an origin, with a plugin that notes who it was told calls. */
export interface AskingStage {
  readonly origin: Origin;
  readonly gateway: SecureGateway;
  /** What the plugin was told, the last one last. */
  readonly seen: (ClientCertificate | undefined)[];
  /** How far the gateway's clock is ahead of ours. */
  aheadMs: number;
  apiFor(host: string | undefined, path: string, clientCertificate?: ClientCertificatePolicy): Api;
  publish(...apis: readonly Api[]): Promise<void>;
  /** Asks once over a connection of its own, and gives the code of an error, else the body. */
  ask(host: string, shown?: TestCertificate, path?: string, servername?: string): Promise<string>;
  close(): Promise<void>;
}

/** Starts one. */
export async function openAskingStage(): Promise<AskingStage> {
  const origin = await startOrigin();
  const seen: (ClientCertificate | undefined)[] = [];
  const witness = makePlugin('witness', { onRequest: (exchange) => void seen.push(exchange.client.certificate) });
  const gateway = await startSecureGateway({ plugins: [witness], wallMs: () => Date.now() + stage.aheadMs });
  const stage: AskingStage = {
    origin,
    gateway,
    seen,
    aheadMs: 0,
    apiFor: (host, path, clientCertificate) =>
      makeApi({
        name: `api-${host ?? 'any'}${path.replaceAll('/', '-')}`,
        upstream: origin.url,
        routes: [makeRoute({ hosts: host === undefined ? [] : [host], paths: [path] })],
        ...(clientCertificate && { clientCertificate }),
      }),
    async publish(...apis) {
      await gateway.apply(
        putAll({ certificates: [certificate], apis, bindings: [makeBinding({ plugin: 'witness' })] }),
      );
    },
    async ask(host, shown, path = '/', servername = host) {
      const client = await openSecure(gateway.tlsPort, { servername, ...(shown && shownBy(shown)) });
      const answer = await client.ask(host, path);
      client.close();
      return codeOf(answer);
    },
    async close() {
      await gateway.close();
      await origin.close();
    },
  };
  return stage;
}

const certificate: Certificate = makeCertificateEntity({
  name: 'gateway',
  hosts: ['a.test', 'b.test', 'c.test', '*.w.test'],
  certificate: server.chain,
  privateKey: server.privateKey,
});
