// The resources apis, certificates, upstreams, consumers and credentials.
// Must not hold what all kinds share: that is resource.ts.
import { CREDENTIAL_SCHEMAS } from '../../gateway/core/schemas.ts';
import type { RouteSpec } from '../call.ts';
import {
  putApi,
  putUpstream,
  removeApi,
  removeConsumer,
  removeUpstream,
  toApi,
  toConsumer,
  toEntity,
} from '../document/apis.ts';
import { putCertificate, removeCertificate, showCertificate, toCertificate } from '../document/certificates.ts';
import { showCredential, toCredential } from '../document/credentials.ts';
import { findEntity, isId, isRecord } from '../document/read.ts';
import { hashPasswordIn } from '../document/seal.ts';
import { AdminError } from '../errors.ts';
import { buildResourceRoutes } from './resource.ts';

/** Lists the routes of apis. */
export const API_ROUTES: readonly RouteSpec[] = buildResourceRoutes({
  kind: 'api',
  path: '/v1/apis',
  parameter: 'api',
  title: 'Api',
  nameField: 'name',
  inputKind: () => 'api',
  make: (input, { draft, existing }) => ({ entity: putApi(draft, toApi(input, existing)) }),
  remove: removeApi,
  textOf: (api) => api.name,
  keyOf: (api) => api.name,
});

/** Lists the routes of certificates. */
export const CERTIFICATE_ROUTES: readonly RouteSpec[] = buildResourceRoutes({
  kind: 'certificate',
  path: '/v1/certificates',
  parameter: 'certificate',
  title: 'Certificate',
  nameField: 'name',
  inputKind: () => 'certificate',
  make(input, { call, draft, existing }) {
    const { secretKey } = call.services;
    return { entity: putCertificate(draft, toCertificate(input, { existing, secretKey, nowMs: Date.now() })) };
  },
  remove: removeCertificate,
  show: (certificate) => showCertificate(certificate),
  textOf: ({ name, hosts }) => [name, ...hosts].join('\n'),
  keyOf: (certificate) => certificate.name,
});

/** Lists the routes of upstreams. */
export const UPSTREAM_ROUTES: readonly RouteSpec[] = buildResourceRoutes({
  kind: 'upstream',
  path: '/v1/upstreams',
  parameter: 'upstream',
  title: 'Upstream',
  nameField: 'name',
  inputKind: () => 'upstream',
  make: (input, { draft, existing }) => ({ entity: putUpstream(draft, toEntity<'upstream'>(input, existing)) }),
  remove: removeUpstream,
  textOf: (upstream) => upstream.name,
  keyOf: (upstream) => upstream.name,
});

/** Lists the routes of consumers. */
export const CONSUMER_ROUTES: readonly RouteSpec[] = buildResourceRoutes({
  kind: 'consumer',
  path: '/v1/consumers',
  parameter: 'consumer',
  title: 'Consumer',
  nameField: 'username',
  inputKind: () => 'consumer',
  make: (input, { draft, existing }) => ({ entity: draft.put('consumer', toConsumer(input, existing)) }),
  remove: removeConsumer,
  textOf: (consumer) => `${consumer.username}\n${consumer.customId ?? ''}`,
  keyOf: (consumer) => consumer.username,
});

/** Lists the routes of credentials, which live under their consumer. */
export const CREDENTIAL_ROUTES: readonly RouteSpec[] = buildResourceRoutes({
  kind: 'credential',
  path: '/v1/consumers/:consumer/credentials',
  parameter: 'credential',
  title: 'Credential',
  inputKind(body) {
    const type = isRecord(body) && typeof body['type'] === 'string' ? body['type'] : '';
    return `credential:${Object.hasOwn(CREDENTIAL_SCHEMAS, type) ? type : ''}`;
  },
  findParent(state, call) {
    const ref = call.params['consumer'] ?? '';
    const consumer = findEntity(state.consumers, 'consumer', ref);
    if (consumer === undefined) throw new AdminError('NOT_FOUND', `There is no consumer ${ref.slice(0, 128)}.`);
    return {
      id: consumer.id,
      owns: (credential) => credential.consumerId === consumer.id,
      adopt: (body) => body,
    };
  },
  async prepare(body, call) {
    const isBasic = isRecord(body) && typeof body['password'] === 'string';
    if (!isBasic) return body;
    const ref = call.params['credential'] ?? '';
    const { credentials } = await call.services.publisher.read();
    const byName = [...credentials.values()].find(
      (one) => one.type === 'basic-auth' && one.lookup === body['username'],
    );
    return await hashPasswordIn(body, isId(ref) ? credentials.get(ref) : byName);
  },
  make(input, { call, draft, existing, parentId = '' }) {
    const { secretKey } = call.services;
    const { credential, shown } = toCredential(input, { consumerId: parentId, existing, secretKey });
    return { entity: draft.put('credential', credential), shown };
  },
  remove: (draft, credential) => draft.remove('credential', credential.id),
  show: showCredential,
  textOf: (credential) =>
    credential.type === 'key-auth' ? credential.type : `${credential.type}\n${credential.lookup}`,
  keyOf: (credential) => `${credential.createdAt} ${credential.id}`,
});
