// Recorded requests through two versions of a plugin, both in this process: what is found, counted and bounded.
import assert from 'node:assert/strict';
import type { Manifest } from '../../gateway/core/manifest.ts';
import { GatewayError, type Host, type Plugin } from '../../gateway/core/plugin.ts';
import type { RecordedRequest } from '../../gateway/core/shadow/recorded.ts';
import { type Replay, type ReplayedVersion, type ReplayOptions, replayRequests } from '../../gateway/testing/replay.ts';
import { makePlugin } from '../support/engine.ts';

type Hooks = Plugin<unknown, unknown>;

const START_MS = Date.UTC(2026, 10, 23);

describe('a replay', () => {
  function version(number: string, hooks: Hooks): ReplayedVersion {
    const made = makePlugin('acme', hooks);
    const names = Object.keys(hooks).filter((key) => key.startsWith('on')) as Manifest['hooks'];
    return { plugin: hooks, manifest: { ...made.manifest, version: number, hooks: names }, config: {} };
  }

  function requests(count: number, more: Partial<RecordedRequest> = {}): readonly RecordedRequest[] {
    return Array.from({ length: count }, (_, at) => ({
      ...{ atMs: START_MS + 1_000 * at, api: { id: 'a-1', name: 'orders' }, route: { id: 'r-1', name: 'all' } },
      ...{ httpVersion: '1.1', scheme: 'http' as const, method: 'GET', host: 'a.test', path: `/${at}`, query: '' },
      ...{ headers: [], hasBody: false },
      ...more,
    }));
  }

  async function replay(
    installed: Hooks | undefined,
    candidate: Hooks,
    more: Partial<ReplayOptions> = {},
  ): Promise<Replay> {
    return await replayRequests({
      candidate: version('1.1.0', candidate),
      installed: installed && version('1.0.0', installed),
      ...{ requests: requests(10), budgetMs: 10_000, maxExamples: 5 },
      ...more,
    });
  }

  const set = (value: string): Hooks => ({ onRequest: ({ request }) => request.headers.set('x-set', value) });

  it('finds what the upstream and the client would get otherwise', async () => {
    const { compared, differing, kinds, examples } = await replay(set('1'), {
      onRequest({ request }) {
        request.headers.set('x-set', /[05]$/.test(request.path) ? '2' : '1');
        if (request.path === '/3') request.path = '/moved';
      },
      onResponse: ({ request, response }) => {
        if (request.path === '/7') response?.headers.set('x-seven', 'yes');
      },
    });

    assert.deepEqual([compared, differing], [10, 4]);
    assert.deepEqual(kinds, {
      'request header x-set changed': 2,
      'path changed': 1,
      'response header x-seven added': 1,
    });
    assert.deepEqual([examples[0]?.path, examples[0]?.api, examples.length], ['/0', 'orders', 4]);
  });

  it('compares with no plugin at all where none is installed', async () => {
    const { installed, kinds } = await replay(undefined, set('1'));

    assert.equal(installed, undefined);
    assert.deepEqual(kinds, { 'request header x-set added': 10 });
  });

  it('tells refusals by status and code, and failures by their reason', async () => {
    const refuses = await replay(set('1'), {
      onRequest() {
        throw new GatewayError('FORBIDDEN', 'not you');
      },
    });
    const fails = await replay(set('1'), {
      onRequest() {
        throw new TypeError('a bug');
      },
    });

    assert.deepEqual(
      refuses.examples[0]?.differences.map(({ place, candidate }) => [place, candidate]),
      [
        ['outcome', 'refused'],
        ['code', 'FORBIDDEN'],
        ['status', '403'],
      ],
    );
    assert.deepEqual([refuses.candidate.refusals, refuses.candidate.errors], [10, 0]);
    assert.deepEqual(fails.examples[0]?.differences[1], { place: 'code', kind: 'added', candidate: 'a bug' });
    assert.equal(fails.candidate.errors, 10);
  });

  it('gives each request its time, its caller, and the answer that its upstream gave', async () => {
    const seen: unknown[] = [];
    const looks: Hooks = {
      setup: (_config, host: Host) => host,
      onResponse({ consumer, response, api }, _config, state) {
        const { clock } = state as Host;
        seen.push([
          clock.wallMs() - START_MS,
          consumer?.username,
          response?.status,
          response?.headers.get('x-a'),
          api.name,
        ]);
      },
    };
    const more = {
      consumer: { username: 'alice', groups: [] },
      answer: { status: 404, headers: [['x-a', 'b']] as const },
    };

    await replay(undefined, looks, { requests: requests(2, more) });

    assert.deepEqual(seen, [
      [0, 'alice', 404, 'b', 'orders'],
      [1_000, 'alice', 404, 'b', 'orders'],
    ]);
  });

  it('keeps one set-up for all requests, as a node does', async () => {
    let setUps = 0;
    let closes = 0;
    await replay(undefined, {
      setup: () => ++setUps,
      onRequest: () => undefined,
      close: () => void closes++,
    });

    assert.deepEqual([setUps, closes], [1, 1]);
  });

  it('gives readers of bodies an empty object, and nobody the network', async () => {
    const bodies: unknown[] = [];
    const headers = [['content-type', 'application/json']] as const;
    const { candidate } = await replay(
      undefined,
      {
        setup: (_config, host: Host) => host,
        async onRequest({ request }, _config, state) {
          bodies.push(Buffer.from(await request.readBody()).toString());
          await (state as Host).fetch('http://a.test/');
        },
      },
      { requests: requests(1, { method: 'POST', hasBody: true, headers }) },
    );

    assert.deepEqual(bodies, ['{}']);
    assert.equal(candidate.errors, 1);
  });

  it('says how many requests the time did not suffice for', async () => {
    const { compared, notRun } = await replay(set('1'), set('2'), { budgetMs: -1 });

    assert.deepEqual([compared, notRun], [0, 10]);
  });
});
