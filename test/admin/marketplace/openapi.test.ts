// The description of the marketplace, held against what it answers on the way of a version from publication to yank.
// Must not describe anything itself.
import assert from 'node:assert/strict';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { samplePackage } from '../../support/market/packages.ts';
import { PLUGINS, publication, startTestMarket, type TestMarket } from './support.ts';

interface Operation {
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: { readonly $ref: string } }>> }>
  >;
}

describe('the description of the marketplace', () => {
  let market: TestMarket;

  before(async () => {
    market = await startTestMarket();
  });

  after(() => market.close());

  it('is true of every answer', async () => {
    const { body: described } = await market.admin.expect(200, 'GET', '/v1/openapi.json');
    const paths = described['paths'] as Readonly<Record<string, Readonly<Record<string, Operation>>>>;
    const ajv = new Ajv2020({ strict: false, formats: { 'date-time': true } });
    ajv.addSchema({ components: described['components'] }, 'openapi');
    const version = `${PLUGINS}/acme/hello/versions/1.2.0`;
    const oneVersion = '/v1/marketplace/plugins/{namespace}/{name}/versions/{version}';
    const body = publication(samplePackage({ files: { 'CHANGELOG.md': '## 1.2.0\n' } }), market.keys);
    const calls: readonly (readonly [string, string, string, object?])[] = [
      ['POST', '/v1/marketplace/plugins', `${PLUGINS}?dryRun=true`, body],
      ['POST', '/v1/marketplace/plugins', PLUGINS, body],
      ['GET', '/v1/marketplace/plugins', PLUGINS],
      ['GET', '/v1/marketplace/plugins/{namespace}/{name}', `${PLUGINS}/acme/hello`],
      ['GET', oneVersion, version],
      ['POST', `${oneVersion}/review`, `${version}/review`, { decision: 'approve', note: 'good' }],
      ['POST', `${oneVersion}/review`, `${version}/review`, { decision: 'approve' }],
      ['POST', `${oneVersion}/state`, `${version}/state`, { state: 'yanked', advisory: 'broken' }],
      ['GET', '/v1/marketplace/bundle', '/v1/marketplace/bundle'],
      ['GET', '/v1/marketplace/publishers/{namespace}', '/v1/marketplace/publishers/acme'],
    ];

    const check = async (method: string, template: string, path: string, sent?: object): Promise<unknown> => {
      const reply = await market.admin.call(method, path, sent === undefined ? {} : { body: sent });
      const responses = paths[template]?.[method.toLowerCase()]?.responses ?? {};
      const { content } = responses[reply.status] ?? responses['default'] ?? {};
      const schema = content?.[reply.headers.get('content-type')?.split(';')[0] ?? '']?.schema;
      assert.ok(schema, `${method} ${path} answered ${reply.status}, which is not described`);
      const isFit = ajv.validate({ $ref: `openapi${schema.$ref}` }, reply.body);
      assert.ok(isFit, `${method} ${path}: ${ajv.errorsText()} ${reply.text.slice(0, 500)}`);
      return reply.body;
    };
    for (const [method, template, path, sent] of calls) await check(method, template, path, sent);
    const bundle = await check('GET', '/v1/marketplace/bundle', '/v1/marketplace/bundle');
    await check('POST', '/v1/marketplace/bundle', '/v1/marketplace/bundle', { bundle: bundle as object });
    const download = paths[`${oneVersion}/package`]?.['get']?.responses['200']?.content ?? {};
    assert.deepEqual(Object.keys(download), ['application/gzip']);
  });
});
