// The description of the admin interface, held against what the service answers.
import assert from 'node:assert/strict';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { runSql } from '../support/product/database.ts';
import { makeCertificate } from '../support/wire/certificates.ts';
import { startTestAdmin, type TestAdmin } from './support.ts';

interface Description {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: Readonly<Record<string, unknown>>;
}

interface Operation {
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: object }>> }>
  >;
}

/** Method, path as described, path as called, body. */
type Example = readonly [string, string, string, object?];

const ROUTE = { name: 'main', paths: ['/described'] };
const { certificate, privateKey } = makeCertificate({ name: 'described', hosts: ['described.example'], toDays: 9 });
const EXAMPLES: readonly Example[] = [
  ['PUT', '/v1/certificates/{certificate}', '/v1/certificates/described', { certificate, privateKey }],
  ['GET', '/v1/certificates', '/v1/certificates'],
  ['POST', '/v1/upstreams', '/v1/upstreams', { name: 'pool', targets: [{ host: '127.0.0.1', port: 9 }] }],
  ['PUT', '/v1/apis/{api}', '/v1/apis/described', { upstream: { name: 'pool' }, routes: [ROUTE] }],
  ['POST', '/v1/apis', '/v1/apis?dryRun=true', { name: 'dry', upstream: { name: 'pool' } }],
  ['GET', '/v1/apis/{api}/routes', '/v1/apis/described/routes'],
  ['PATCH', '/v1/apis/{api}/routes/{route}', '/v1/apis/described/routes/main', { methods: ['GET'] }],
  ['GET', '/v1/upstreams/{upstream}/health', '/v1/upstreams/pool/health'],
  ['PUT', '/v1/consumers/{consumer}', '/v1/consumers/dora', { groups: ['gold'] }],
  ['POST', '/v1/consumers/{consumer}/credentials', '/v1/consumers/dora/credentials', { type: 'key-auth' }],
  ['GET', '/v1/consumers/{consumer}/credentials', '/v1/consumers/dora/credentials'],
  [
    'POST',
    '/v1/bindings',
    '/v1/bindings',
    { plugin: 'hello', scope: { api: 'described' }, when: { methods: ['PUT'] } },
  ],
  ['GET', '/v1/apis/{api}/bindings', '/v1/apis/described/bindings'],
  ['POST', '/v1/tokens', '/v1/tokens', { name: 'reader', role: 'viewer' }],
  ['GET', '/v1/tokens', '/v1/tokens'],
  ['GET', '/v1/plugins', '/v1/plugins'],
  ['GET', '/v1/plugins/{plugin}', '/v1/plugins/key-auth'],
  ['GET', '/v1/nodes', '/v1/nodes'],
  ['GET', '/v1/audit', '/v1/audit'],
  ['POST', '/v1/explain', '/v1/explain', { method: 'GET', host: 'x', path: '/described' }],
  ['GET', '/v1/config', '/v1/config'],
  ['PUT', '/v1/config', '/v1/config?mode=merge', {}],
  ['GET', '/v1/revisions', '/v1/revisions'],
  ['GET', '/v1/revisions/{number}', '/v1/revisions/2'],
  ['GET', '/v1/revisions/{number}/diff', '/v1/revisions/2/diff'],
  ['POST', '/v1/revisions/{number}/rollback', '/v1/revisions/2/rollback'],
  ['POST', '/v1/marketplace/publishers', '/v1/marketplace/publishers', { namespace: 'described' }],
  ['GET', '/v1/marketplace/publishers', '/v1/marketplace/publishers'],
  [
    'PATCH',
    '/v1/marketplace/publishers/{namespace}',
    '/v1/marketplace/publishers/described',
    { title: 'Described', level: 2 },
  ],
  ['GET', '/v1/marketplace/plugins', '/v1/marketplace/plugins'],
  ['GET', '/v1/marketplace/index', '/v1/marketplace/index'],
  ['GET', '/v1/marketplace/bundle', '/v1/marketplace/bundle'],
  ['DELETE', '/v1/tokens/{token}', '/v1/tokens/reader?dryRun=true'],
  ['GET', '/v1/apis/{api}', '/v1/apis/nowhere'],
];

const NODE = `
  INSERT INTO nodes (id, name, mode, version, started_at, last_seen_at, revision, offered_revision, refusal, workers, health)
  VALUES (gen_random_uuid(), 'n', 'central', '0', now(), now(), 0, 1,
    '{"revision": 1, "at": "2026-01-01T00:00:00Z", "problems": [{"pointer": "/a", "code": "X", "message": "m"}]}',
    '[{"pid": 1, "revision": 0}]',
    '{"targets": [{"upstream": "pool", "host": "127.0.0.1", "port": 9, "isHealthy": true}], "plugins": []}')`;

describe('admin OpenAPI', () => {
  let admin: TestAdmin;

  before(async () => {
    admin = await startTestAdmin();
    await runSql(admin.database.url, NODE);
  });

  after(async () => {
    await admin.close();
  });

  it('describes what the service answers', async () => {
    const described = await admin.expect(200, 'GET', '/v1/openapi.json');
    const { paths, components } = described.body as unknown as Description;
    const ajv = new Ajv2020({ strict: false, formats: { 'date-time': true } });
    ajv.addSchema({ components }, 'openapi');

    for (const [method, template, path, body] of EXAMPLES) {
      const reply = await admin.call(method, path, body === undefined ? {} : { body });

      const responses = paths[template]?.[method.toLowerCase()]?.responses ?? {};
      const { content } = responses[reply.status] ?? responses['default'] ?? {};
      const type = reply.headers.get('content-type')?.split(';')[0] ?? '';
      const schema = content?.[type]?.schema as { readonly $ref: string } | undefined;
      assert.ok(schema, `${method} ${path} answered ${reply.status} ${type}, which is not described`);
      const isFit = ajv.validate({ $ref: `openapi${schema.$ref}` }, reply.body);
      assert.ok(isFit, `${method} ${path}: ${ajv.errorsText()} ${reply.text.slice(0, 500)}`);
    }
  });
});
