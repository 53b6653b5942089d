// What cors tells browsers, and what it never tells them.
import assert from 'node:assert/strict';
import type { Exchange } from 'sallyport/plugin';
import { type RequestOptions, type RunOptions, type RunResult, readConfig, runPlugin } from 'sallyport/testing';
import { type Config, plugin } from './handler.ts';
import { buildOriginMatcher } from './origins.ts';

const folder = new URL('.', import.meta.url);
const APP = 'https://app.example.com';

function run(config: Partial<Config>, options: RunOptions): Promise<RunResult> {
  return runPlugin(plugin, { config: readConfig<Config>(folder, { origins: [APP], ...config }), ...options });
}

function preflight(origin: string, asked: Record<string, string> = {}): RequestOptions {
  return { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'PUT', ...asked } };
}

/** Gives the CORS side of a response. */
function corsOf({ headers }: RunResult): Record<string, string> {
  const fields = headers.entries().filter(([name]) => name.startsWith('access-control-') || name === 'vary');
  return Object.fromEntries(fields);
}

describe('cors', () => {
  it('answers a preflight itself', async () => {
    const result = await run({ methods: ['GET', 'PUT'], headers: ['x-a', 'x-b'] }, { request: preflight(APP) });

    assert.deepEqual([result.status, result.body, result.reachedUpstream], [204, '', false]);
    assert.deepEqual(corsOf(result), {
      'access-control-allow-origin': APP,
      'access-control-allow-methods': 'GET, PUT',
      'access-control-allow-headers': 'x-a, x-b',
      'access-control-max-age': '600',
      vary: 'Origin',
    });
  });

  it('allows what a preflight asks for when all is allowed, and says that the answer depends on it', async () => {
    const request = preflight(APP, { 'access-control-request-headers': 'authorization,x-a' });

    const result = await run({ methods: ['*'], credentials: true }, { request });

    assert.deepEqual(result.headers.getAll('vary'), [
      'access-control-request-method, access-control-request-headers',
      'Origin',
    ]);
    assert.equal(result.headers.get('access-control-allow-methods'), 'PUT');
    assert.equal(result.headers.get('access-control-allow-headers'), 'authorization,x-a');
    assert.equal(result.headers.get('access-control-allow-credentials'), 'true');
  });

  it('does not echo a list of headers that is none', async () => {
    const request = preflight(APP, { 'access-control-request-headers': 'a b; c' });

    const result = await run({}, { request });

    assert.equal(result.headers.has('access-control-allow-headers'), false);
  });

  it('answers a preflight of a stranger without allowing anything', async () => {
    const result = await run({}, { request: preflight('https://evil.test') });

    assert.deepEqual([result.status, result.reachedUpstream], [204, false]);
    assert.deepEqual(corsOf(result), { vary: 'Origin' });
  });

  it('leaves an OPTIONS request that is no preflight to the upstream', async () => {
    const { reachedUpstream } = await run({}, { request: { method: 'OPTIONS', headers: { origin: APP } } });

    assert.equal(reachedUpstream, true);
  });

  it('marks the response of a listed origin', async () => {
    const config = { credentials: true, exposedHeaders: ['x-total', 'link'] };

    const result = await run(config, { request: { headers: { origin: APP } } });

    assert.deepEqual(corsOf(result), {
      'access-control-allow-origin': APP,
      'access-control-allow-credentials': 'true',
      'access-control-expose-headers': 'x-total, link',
      vary: 'Origin',
    });
  });

  it('marks errors of the gateway too, so that the page can read them', async () => {
    const upstream = { failure: 'connect-failed' } as const;

    const result = await run({}, { request: { headers: { origin: APP } }, upstream });

    assert.equal(result.status, 502);
    assert.equal(result.headers.get('access-control-allow-origin'), APP);
  });

  it('varies by origin also when there is none, or the wrong one', async () => {
    const none = await run({}, {});
    const wrong = await run({}, { request: { headers: { origin: 'https://evil.test' } } });
    const two = await run({}, { request: { headers: { origin: [APP, 'https://evil.test'] } } });

    for (const result of [none, wrong, two]) assert.deepEqual(corsOf(result), { vary: 'Origin' });
  });

  it('takes off what the upstream says of its own', async () => {
    const headers = { 'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Credentials': 'true', vary: 'Accept' };

    const result = await run({}, { request: { headers: { origin: 'https://evil.test' } }, upstream: { headers } });

    assert.equal(result.headers.has('access-control-allow-origin'), false);
    assert.equal(result.headers.has('access-control-allow-credentials'), false);
    assert.deepEqual(result.headers.getAll('vary'), ['Accept', 'Origin']);
  });

  for (const vary of ['*', 'Accept, origin']) {
    it(`adds nothing to Vary: ${vary}`, async () => {
      const result = await run({}, { upstream: { headers: { vary } } });

      assert.deepEqual(result.headers.getAll('vary'), [vary]);
    });
  }

  it('says the same to everybody when everybody may call', async () => {
    const result = await run({ origins: ['*'] }, { request: { headers: { origin: 'https://any.test' } } });
    const without = await run({ origins: ['*'] }, {});

    assert.deepEqual(corsOf(result), { 'access-control-allow-origin': '*' });
    assert.deepEqual(corsOf(without), corsOf(result));
  });

  it('allows null only when it is listed', async () => {
    const request = { headers: { origin: 'null' } };

    const listed = await run({ origins: ['null'] }, { request });
    const unlisted = await run({}, { request });

    assert.equal(listed.headers.get('access-control-allow-origin'), 'null');
    assert.equal(unlisted.headers.has('access-control-allow-origin'), false);
  });

  it('remembers the origin when another plugin takes the header off', async () => {
    const config = readConfig<Config>(folder, { origins: [APP] });
    const removing = { ...plugin, onUpstreamRequest: ({ request }: Exchange) => request.headers.delete('origin') };

    const result = await runPlugin(removing, { config, request: { headers: { origin: APP } } });

    assert.equal(result.sent?.headers.has('origin'), false);
    assert.equal(result.headers.get('access-control-allow-origin'), APP);
  });

  const wrong = [
    {},
    { origins: [] },
    { origins: ['*', APP] },
    { origins: ['*'], credentials: true },
    { origins: ['https://App.example.com'] },
    { origins: [`${APP}/`] },
    { origins: ['https://a*.example.com'] },
    { origins: ['*.example.com'] },
    { origins: [APP], methods: ['get'] },
    { origins: [APP], headers: ['a b'] },
  ];
  for (const config of wrong) {
    it(`refuses the configuration ${JSON.stringify(config)}`, () => {
      assert.throws(() => readConfig(folder, config), { name: 'ConfigError' });
    });
  }
});

describe('buildOriginMatcher', () => {
  const isListed = buildOriginMatcher([APP, 'https://a.test:443', 'http://b.test:8080', 'https://*.example.org']);
  const cases: [string, boolean][] = [
    [APP, true],
    ['https://a.test', true],
    ['http://b.test:8080', true],
    ['https://x.example.org', true],
    ['https://x.y.example.org', true],
    ['http://app.example.com', false],
    [`${APP}:8443`, false],
    [`${APP}.evil.test`, false],
    ['https://b.test', false],
    ['https://example.org', false],
    ['https://.example.org', false],
    ['https://evil-example.org', false],
    ['https://evil.test/.example.org', false],
    ['https://evil.test#.example.org', false],
    ['https://user@x.example.org', false],
    ['https://x.example.org:8443', false],
    ['https://example.orgx.example.orgx', false],
    [`https://${'x'.repeat(400)}.example.org`, false],
    ['', false],
    ['*', false],
  ];
  for (const [origin, expected] of cases) {
    it(`${expected ? 'lists' : 'does not list'} ${origin.slice(0, 60)}`, () => {
      assert.equal(isListed(origin), expected);
    });
  }
});
