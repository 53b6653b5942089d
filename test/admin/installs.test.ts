// Installs over the admin REST: what is asked for is agreed to, and bindings come along from version to version.
import assert from 'node:assert/strict';
import type { PackageParts } from '../support/market/packages.ts';
import { query } from '../support/market/stored-market.ts';
import { startTestMarket, type TestMarket } from './marketplace/support.ts';

const GRANTED = { response: { headers: { write: ['x-hello'] } } };
const WIDER = {
  response: { headers: { write: ['x-hello', 'x-more'] } },
  net: [{ host: 'api.acme.test', reason: 'Asks.' }],
};
type Shown = Readonly<Record<string, unknown>>;

const HELLO = '/v1/installs/acme/hello';

/** Is the second shape of the configuration: `greeting` became `words`, a list. */
const SECOND_SHAPE: PackageParts = {
  manifest: { configVersion: 2 },
  configSchema: {
    properties: {
      words: {
        title: 'Words',
        description: 'Words.',
        type: 'array',
        maxItems: 3,
        items: { type: 'string', maxLength: 40 },
      },
      mood: { title: 'Mood', description: 'Mood.', type: 'string', maxLength: 10, default: 'good' },
    },
    examples: [{ words: ['Hello'] }],
  },
  files: {
    'index.js': `export const plugin = { onResponse({ response }, { words }) { response.headers.set('x-hello', words[0]); } };
export function migrate(config, from) {
  if (config.greeting === 'Fail') throw new Error('cannot bring this over');
  return { words: [config.greeting + ' from ' + from] };
}
`,
    'fixtures/greets.json': '{"config":{"words":["a"]},"request":{"method":"GET","path":"/"},"expect":{"status":200}}',
  },
};

describe('installs', function () {
  this.timeout(30_000);
  let market: TestMarket;

  beforeEach(async () => {
    market = await startTestMarket();
    await market.approve('1.0.0');
  });

  afterEach(() => market.close());

  const install = (version = '1.0.0', more: Record<string, unknown> = {}) =>
    market.admin.expect(201, 'POST', '/v1/installs', {
      body: { plugin: 'acme/hello', version, granted: GRANTED, ...more },
    });
  const bind = async (config: unknown): Promise<string> => {
    const body = { plugin: 'acme/hello', config };
    return String((await market.admin.expect(201, 'POST', '/v1/bindings', { body })).body['id']);
  };
  const configOf = async (binding: string): Promise<unknown> =>
    (await market.admin.expect(200, 'GET', `/v1/bindings/${binding}`)).body['config'];

  it('refuses a version that asks for more than is granted, and says what', async () => {
    const body = { plugin: 'acme/hello', version: '1.0.0' };

    const refused = await market.admin.expect(409, 'POST', '/v1/installs', { body });

    assert.equal(refused.body['code'], 'CONSENT_REQUIRED');
    assert.deepEqual(refused.body['permissions'], [
      { pointer: '/response/headers', granted: null, wanted: { write: ['x-hello'] } },
    ]);
    assert.equal((refused.body['problems'] as { pointer: string }[])[0]?.pointer, '/granted/response/headers');
    assert.deepEqual((await market.admin.expect(200, 'GET', '/v1/installs')).body['data'], []);
  });

  it('installs what is agreed to, and shows it beside the plugins in folders', async () => {
    const made = await install();

    assert.equal(made.headers.get('location'), HELLO);
    assert.equal(made.body['version'], '1.0.0');
    assert.deepEqual(made.body['granted'], (made.body['manifest'] as Shown)['permissions']);
    const listed = (await market.admin.expect(200, 'GET', '/v1/plugins')).body['data'] as {
      name: string;
      source: string;
    }[];
    assert.deepEqual(
      listed.filter(({ name }) => name === 'acme/hello' || name === 'cors').map(({ name, source }) => [name, source]),
      [
        ['acme/hello', 'marketplace'],
        ['cors', 'folder'],
      ],
    );
    const shown = await market.admin.expect(200, 'GET', '/v1/plugins/acme/hello');
    assert.equal(shown.body['version'], '1.0.0');
  });

  it('does not keep what was granted beyond what the version asks for', async () => {
    const made = await install('1.0.0', { granted: WIDER });

    assert.deepEqual((made.body['granted'] as Shown)['net'], []);
  });

  for (const [name, prepare] of [
    ['was not reviewed', () => market.publish({ manifest: { version: '2.0.0' } })],
    ['does not exist', async () => undefined],
    [
      'was yanked',
      async () => {
        await market.approve('2.0.0');
        const path = '/v1/marketplace/plugins/acme/hello/versions/2.0.0/state';
        await market.admin.expect(200, 'POST', path, { body: { state: 'yanked', advisory: 'Broken.' } });
      },
    ],
  ] as const) {
    it(`refuses a version that ${name}`, async () => {
      await prepare();
      const body = { plugin: 'acme/hello', version: '2.0.0', granted: GRANTED };

      const refused = await market.admin.expect(422, 'POST', '/v1/installs', { body });

      assert.equal((refused.body['problems'] as { pointer: string }[])[0]?.pointer, '/version');
    });
  }

  it('refuses the same plugin twice', async () => {
    await install();
    const body = { plugin: 'acme/hello', version: '1.0.0', granted: GRANTED };

    const refused = await market.admin.expect(409, 'POST', '/v1/installs', { body });

    assert.equal(refused.body['code'], 'CONFLICT');
  });

  it('checks configurations of bindings against the version', async () => {
    await install();
    const body = { plugin: 'acme/hello', config: { greeting: '123' } };

    const refused = await market.admin.expect(422, 'POST', '/v1/bindings', { body });

    assert.equal((refused.body['problems'] as { pointer: string }[])[0]?.pointer, '/config/greeting');
    assert.deepEqual(await configOf(await bind({})), { greeting: 'Hello' });
  });

  it('holds an upgrade that asks for more until it is agreed to', async () => {
    await market.approve('2.0.0', { manifest: { permissions: WIDER } });
    await install();

    const refused = await market.admin.expect(409, 'PATCH', HELLO, { body: { version: '2.0.0' } });
    const done = await market.admin.expect(200, 'PATCH', HELLO, { body: { version: '2.0.0', granted: WIDER } });

    assert.equal(refused.body['code'], 'CONSENT_REQUIRED');
    assert.deepEqual([done.body['version'], (done.body['granted'] as Shown)['net']], ['2.0.0', WIDER.net]);
    assert.equal((done.body['previous'] as { version: string }).version, '1.0.0');
  });

  it('migrates the configurations of bindings in the same revision, and takes them back in a rollback', async () => {
    await market.approve('2.0.0', SECOND_SHAPE);
    await install();
    const binding = await bind({ greeting: 'Hi' });
    const before = await market.admin.revision();

    await market.admin.expect(200, 'PATCH', HELLO, { body: { version: '2.0.0' } });

    assert.deepEqual(await configOf(binding), { words: ['Hi from 1'], mood: 'good' });
    assert.equal(await market.admin.revision(), before + 1);
    const back = await market.admin.expect(200, 'POST', `${HELLO}/rollback`);
    assert.equal(back.body['version'], '1.0.0');
    assert.deepEqual(await configOf(binding), { greeting: 'Hi' });
    assert.equal((back.body['previous'] as { version: string }).version, '2.0.0');
    await market.admin.expect(200, 'POST', `${HELLO}/rollback`);
    assert.deepEqual(await configOf(binding), { words: ['Hi from 1'], mood: 'good' });
  });

  it('shows what an upgrade would change, and changes nothing', async () => {
    await market.approve('2.0.0', SECOND_SHAPE);
    await install();
    const binding = await bind({ greeting: 'Hi' });

    const shown = await market.admin.expect(200, 'PATCH', `${HELLO}?dryRun=true`, { body: { version: '2.0.0' } });

    const changes = shown.body['changes'] as { kind: string; id: string }[];
    assert.deepEqual(changes.map(({ kind }) => kind).sort(), ['binding', 'install']);
    assert.deepEqual(await configOf(binding), { greeting: 'Hi' });
  });

  it('refuses an upgrade whose migration fails, and points to the binding', async () => {
    await market.approve('2.0.0', SECOND_SHAPE);
    await install();
    const binding = await bind({ greeting: 'Fail' });

    const refused = await market.admin.expect(422, 'PATCH', HELLO, { body: { version: '2.0.0' } });

    const [problem] = refused.body['problems'] as { pointer: string; message: string }[];
    assert.equal(problem?.pointer, `/bindings/${binding}/config`);
    assert.match(problem?.message ?? '', /cannot bring this over/);
  });

  it('refuses an upgrade under which a configuration is no longer valid, and points to it', async () => {
    const properties = { greeting: { title: 'G', description: 'G.', type: 'string', maxLength: 2, default: 'Hi' } };
    await market.approve('2.0.0', { configSchema: { properties, examples: [{ greeting: 'Hi' }] } });
    await install();
    const binding = await bind({ greeting: 'Hello' });

    const refused = await market.admin.expect(422, 'PATCH', HELLO, { body: { version: '2.0.0' } });

    const [problem] = refused.body['problems'] as { pointer: string }[];
    assert.equal(problem?.pointer, `/bindings/${binding}/config/greeting`);
    assert.equal((await market.admin.expect(200, 'GET', HELLO)).body['version'], '1.0.0');
  });

  it('uninstalls nothing that is bound', async () => {
    await install();
    const binding = await bind({});

    const refused = await market.admin.expect(409, 'DELETE', HELLO);

    assert.equal(refused.body['code'], 'IN_USE');
    assert.equal((refused.body['problems'] as { pointer: string }[])[0]?.pointer, `/bindings/${binding}/plugin`);
    await market.admin.expect(204, 'DELETE', `/v1/bindings/${binding}`);
    await market.admin.expect(204, 'DELETE', HELLO);
    await market.admin.expect(404, 'GET', HELLO);
  });

  it('rolls back to no version that was revoked since, and to none where there is none', async () => {
    await install();
    await market.admin.expect(409, 'POST', `${HELLO}/rollback`);
    await market.approve('2.0.0');
    await market.admin.expect(200, 'PATCH', HELLO, { body: { version: '2.0.0' } });
    const path = '/v1/marketplace/plugins/acme/hello/versions/1.0.0/state';
    await market.admin.expect(200, 'POST', path, { body: { state: 'revoked', advisory: 'It leaks.' } });

    const refused = await market.admin.expect(409, 'POST', `${HELLO}/rollback`);

    assert.match(String(refused.body['detail']), /revoked/);
  });

  it('seals secrets, never shows them, and drops what a version does not ask for', async () => {
    const permissions = { ...GRANTED, secrets: ['KEY'] };
    await market.approve('2.0.0', { manifest: { permissions } });
    const secrets = { KEY: 'open-sesame' };

    const made = await install('2.0.0', { granted: permissions, secrets });
    await market.admin.expect(200, 'PATCH', HELLO, { body: { tags: ['kept'] } });

    const [row] = await query<{ sealed_secrets: Record<string, string> }>(
      market.admin.database.url,
      'SELECT sealed_secrets FROM installs',
    );
    assert.match(row?.sealed_secrets['KEY'] ?? '', /^v1\./);
    assert.deepEqual(made.body['secretNames'], ['KEY']);
    const audit = await market.admin.expect(200, 'GET', '/v1/audit?kind=install');
    for (const { text } of [made, audit]) assert.ok(!text.includes('open-sesame') && !text.includes('v1.'), text);
    await market.admin.expect(200, 'PATCH', HELLO, { body: { version: '1.0.0' } });
    assert.deepEqual((await market.admin.expect(200, 'GET', HELLO)).body['secretNames'], []);
    await market.admin.expect(422, 'PATCH', HELLO, { body: { secrets } });
  });

  it('exports what can be applied again without a change, and to a marketplace that has the version only', async () => {
    await install();
    await bind({ greeting: 'Hi' });
    const { body } = await market.admin.expect(200, 'GET', '/v1/config');

    const same = await market.admin.expect(200, 'PUT', '/v1/config', { body });

    assert.deepEqual(same.body['counts'], { create: 0, update: 0, delete: 0 });
    const other = await startTestMarket();
    try {
      const refused = await other.admin.expect(422, 'PUT', '/v1/config', { body });
      assert.equal((refused.body['problems'] as { pointer: string }[])[0]?.pointer, '/installs/0/version');
    } finally {
      await other.close();
    }
  });

  it('comes back as it was when a revision is rolled back', async () => {
    await install();
    const binding = await bind({ greeting: 'Hi' });
    const before = await market.admin.revision();
    await market.approve('2.0.0', SECOND_SHAPE);
    await market.admin.expect(200, 'PATCH', HELLO, { body: { version: '2.0.0' } });

    await market.admin.expect(201, 'POST', `/v1/revisions/${before}/rollback`);

    assert.equal((await market.admin.expect(200, 'GET', HELLO)).body['version'], '1.0.0');
    assert.deepEqual(await configOf(binding), { greeting: 'Hi' });
  });

  it('lets viewers read and only editors write', async () => {
    const { viewer } = market.tokens;

    await market.admin.expect(200, 'GET', '/v1/installs', { token: viewer });
    await market.admin.expect(403, 'POST', '/v1/installs', { token: viewer, body: {} });
  });
});
