// Attacks on who calls: credentials that are repeated, joined or no text at all, and claims to be somebody, past the real plugins.
// Must not test what a credential proves: each plugin's own tests do.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import jwt from 'jsonwebtoken';
import type { LoadedPlugin } from '../../../../gateway/core/pipeline.ts';
import { BUILT_IN_PLUGINS, loadPlugins } from '../../../../gateway/loader.ts';
import { readConfig } from '../../../../gateway/testing/config.ts';
import { fakeConsumers } from '../../../../gateway/testing/consumers.ts';
import { openRaw, startGateway, type TestGateway } from '../../../support/engine.ts';
import { makeApi, makeBinding, makeRoute, putAll } from '../../../support/entities.ts';
import { headerOf, type Origin, startOrigin } from '../../../support/wire/origin.ts';

const KEY = 'alice-key-0001';
const SECRET = 'a secret of at least thirty-two bytes';
const BASIC = Buffer.from('alice:wonderland').toString('base64');
const TOKEN = jwt.sign({ iss: 'alice' }, SECRET, { expiresIn: 86_400 });
const FORGED = jwt.sign({ iss: 'alice' }, 'another secret of thirty-two bytes!', { expiresIn: 86_400 });
/** Every byte that is no ASCII, as text of one character each. */
const BYTES = Array.from({ length: 128 }, (_, at) => String.fromCharCode(128 + at)).join('');

const CLAIMS = [
  ...['X-Consumer-Id', 'x-consumer-username', 'X-CONSUMER-CUSTOM-ID', 'X-Consumer-Groups', 'X-Credential-Id'],
  ...['X_Consumer_Id', 'X-Consumer_Username', 'X-Anonymous-Consumer', 'X-Authenticated-Userid', 'X-Userinfo'],
];

/** Is a plugin with a credential that it accepts, and lines that it must not accept. */
interface Gate {
  readonly good: string;
  readonly bad: readonly (readonly string[])[];
}

const GATES: Readonly<Record<string, Gate>> = {
  'key-auth': {
    good: `apikey: ${KEY}`,
    bad: [
      ['apikey: bad', `apikey: ${KEY}`],
      [`apikey: ${KEY}`, 'APIKEY: bad'],
      [`apikey: ${KEY}, bad`],
      [`apikey: bad, ${KEY}`],
      [`apikey: ${KEY},${KEY}`],
      [`apikey: ${KEY}`, 'apikey:'],
      [`apikey: ${BYTES}`],
      [`apikey: ${KEY}\u00a0`],
      [`apikey: \u00ef\u00bb\u00bf${KEY}`],
      [`api_key: ${KEY}`],
    ],
  },
  'basic-auth': {
    good: `Authorization: Basic ${BASIC}`,
    bad: [
      ['Authorization: Basic eDp5', `Authorization: Basic ${BASIC}`],
      [`Authorization: Basic ${BASIC}`, `Authorization: Basic ${BASIC}`],
      [`Authorization: Basic ${BASIC}, Basic eDp5`],
      [`Authorization: Basic ${BASIC}\u0085`],
      [`Authorization: Basic ${BYTES}`],
      [`Authorization: Basic ${Buffer.from(`${BYTES}:${BYTES}`, 'latin1').toString('base64')}`],
      [`Authorization: Basic ${Buffer.from('alice:wonderland\0').toString('base64')}`],
      [`Authorization: Basic ${Buffer.from('alice\u0000:wonderland').toString('base64')}`],
      ['Authorization: Basic'],
    ],
  },
  jwt: {
    good: `Authorization: Bearer ${TOKEN}`,
    bad: [
      [`Authorization: Bearer ${FORGED}`, `Authorization: Bearer ${TOKEN}`],
      [`Authorization: Bearer ${TOKEN}`, `Authorization: Bearer ${TOKEN}`],
      [`Authorization: Bearer ${TOKEN}, Bearer ${FORGED}`],
      [`Authorization: Bearer ${FORGED}`],
      [`Authorization: Bearer ${TOKEN}\u00a0`],
      [`Authorization: Bearer ${BYTES}`],
      [`Authorization: Bearer ${TOKEN.replace('.', `.${BYTES}`)}`],
      [`Authorization: Bearer ${TOKEN}.`],
    ],
  },
};

describe('a credential', () => {
  let origin: Origin;
  let gateway: TestGateway;

  before(async () => {
    origin = await startOrigin();
    const all = await loadPlugins([BUILT_IN_PLUGINS]);
    gateway = await startGateway({
      plugins: Object.keys(GATES).map((name) => all.get(name) as LoadedPlugin),
      consumers: fakeConsumers({
        username: 'alice',
        credentials: [
          { type: 'key-auth', key: KEY },
          { type: 'basic-auth', username: 'alice', password: 'wonderland' },
          { type: 'jwt', key: 'alice', algorithm: 'HS256', secret: SECRET },
        ],
      }),
    });
    const apis = [...Object.keys(GATES), 'open'].map((name) =>
      makeApi({ name, upstream: origin.url, routes: [makeRoute({ paths: [`/${name}`] })] }),
    );
    const bindings = Object.keys(GATES).map((plugin) => {
      const folder = pathToFileURL(`${join(BUILT_IN_PLUGINS, plugin)}/`);
      const config = readConfig<Readonly<Record<string, unknown>>>(folder, {});
      return makeBinding({ plugin, config, scope: { api: apis.find(({ name }) => name === plugin)?.id ?? '' } });
    });
    await gateway.apply(putAll({ apis, bindings }));
  });

  after(async () => {
    await gateway.close();
    await origin.close();
  });

  afterEach(() => {
    origin.seen.length = 0;
  });

  async function send(api: string, lines: readonly string[]): Promise<number> {
    const raw = await openRaw(gateway.port);
    const text = lines.map((line) => `${line}\r\n`).join('');
    raw.write(`GET /${api} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n${text}\r\n`);
    const answer = await raw.closed();
    return Number(answer.text.slice(9, 12));
  }

  const claims = CLAIMS.flatMap((name) => [`${name}: evil`, `${name}: alice`]);

  for (const [plugin, { good, bad }] of Object.entries(GATES)) {
    for (const lines of bad) {
      it(`is not believed by ${plugin}: ${JSON.stringify(lines.map((line) => line.slice(0, 40)))}`, async () => {
        const status = await send(plugin, [...lines, ...claims]);

        assert.ok(status === 400 || status === 401, String(status));
        assert.equal(origin.seen.length, 0);
      });
    }

    it(`is told to the upstream as ${plugin} knows it, whatever the client claims`, async () => {
      assert.equal(await send(plugin, [...claims, good, ...claims]), 200);

      const [seen] = origin.seen;
      assert.deepEqual(headerOf(seen, 'x-consumer-username'), ['alice']);
      assert.equal(headerOf(seen, 'x-consumer-id').length, 1);
      assert.ok(!seen?.rawHeaders.includes('evil'));
    });
  }

  it('is claimed in vain where nobody asks for one', async () => {
    assert.equal(await send('open', claims), 200);

    const lines = origin.seen[0]?.rawHeaders ?? [];
    assert.ok(!lines.some((text) => text === 'evil' || text === 'alice'), String(lines));
  });
});
