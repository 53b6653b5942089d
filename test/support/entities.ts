// Whole entities from the few fields that a test is about.
// Must not be used where the admin's own reading of input is under test.
import { randomUUID } from 'node:crypto';
import type {
  Api,
  Binding,
  Certificate,
  Change,
  Consumer,
  Install,
  Route,
  Upstream,
} from '../../gateway/core/model.ts';

const NOW = '2026-01-01T00:00:00.000Z';
const STAMPS = { tags: [], createdAt: NOW, updatedAt: NOW };

/** Makes a route that matches everything. */
export function makeRoute(fields: Partial<Route> = {}): Route {
  return { id: randomUUID(), hosts: [], paths: [], methods: [], headers: {}, query: {}, stripPath: true, ...fields };
}

/** Makes an api with one route per given field set. */
export function makeApi(fields: Partial<Api> & { readonly name: string }): Api {
  return {
    id: randomUUID(),
    upstream: 'http://127.0.0.1:9',
    routes: [],
    enabled: true,
    preserveHost: false,
    timeouts: { connectMs: 2_000, responseMs: 5_000, idleMs: 5_000 },
    retries: { attempts: 1 },
    ...STAMPS,
    ...fields,
  };
}

/** Makes an upstream without checks. */
export function makeUpstream(fields: Partial<Upstream> & { readonly name: string }): Upstream {
  return {
    id: randomUUID(),
    protocol: 'http',
    targets: [],
    loadBalancing: 'round-robin',
    healthChecks: { passive: { failures: 0, ejectMs: 10_000 } },
    tls: { verify: true },
    ...STAMPS,
    ...fields,
  };
}

/** Makes a global binding. */
export function makeBinding(fields: Partial<Binding> & { readonly plugin: string }): Binding {
  return {
    id: randomUUID(),
    scope: {},
    config: {},
    enabled: true,
    order: 0,
    effect: 'apply',
    mandatory: false,
    ...STAMPS,
    ...fields,
  };
}

/** Makes the install of a version whose manifest asks for nothing. */
export function makeInstall(fields: Partial<Install> & { readonly plugin: string; readonly version: string }): Install {
  const { plugin, version } = fields;
  return {
    id: randomUUID(),
    sha256: '0'.repeat(64),
    granted: {},
    manifest: {
      ...{ name: plugin, version, title: plugin, summary: plugin, stage: 'transform', hooks: ['onRequest'] },
      scopes: ['global', 'api', 'route', 'consumer', 'group'],
      failPolicy: 'closed',
      limits: { timeoutMs: 1_000, memoryMb: 32 },
      permissions: {},
      engines: { gateway: '^1.0.0' },
    },
    configSchema: { type: 'object', properties: {}, examples: [{}] },
    tier: 'auto',
    secrets: {},
    ...STAMPS,
    ...fields,
  };
}

/** Makes a certificate entity; its key is as given, sealed or open. */
export function makeCertificateEntity(
  fields: Partial<Certificate> & Pick<Certificate, 'name' | 'certificate' | 'privateKey'>,
): Certificate {
  return { id: randomUUID(), hosts: [], ...STAMPS, ...fields };
}

/** Makes a consumer without groups. */
export function makeConsumer(fields: Partial<Consumer> & { readonly username: string }): Consumer {
  return { id: randomUUID(), groups: [], ...STAMPS, ...fields };
}

/** Gives entities as the changes of an update. */
export function putAll(entities: {
  readonly certificates?: readonly Certificate[];
  readonly apis?: readonly Api[];
  readonly upstreams?: readonly Upstream[];
  readonly installs?: readonly Install[];
  readonly bindings?: readonly Binding[];
}): Change[] {
  return [
    ...(entities.certificates ?? []).map((after): Change => ({ kind: 'certificate', id: after.id, after })),
    ...(entities.upstreams ?? []).map((after): Change => ({ kind: 'upstream', id: after.id, after })),
    ...(entities.apis ?? []).map((after): Change => ({ kind: 'api', id: after.id, after })),
    ...(entities.installs ?? []).map((after): Change => ({ kind: 'install', id: after.id, after })),
    ...(entities.bindings ?? []).map((after): Change => ({ kind: 'binding', id: after.id, after })),
  ];
}
