// A version in the shadow of another: what it is compared in.
// Must not test what it can do to others: shadow-isolation.test.ts does.
import assert from 'node:assert/strict';
import { GatewayError } from '../../../../gateway/core/plugin.ts';
import { type Hooks, type ShadowedGateway, stamp, startShadowed } from '../../../support/market/shadowed.ts';
import { until } from '../../../support/until.ts';

describe('a version in the shadow', () => {
  let shadowed: ShadowedGateway;

  afterEach(() => shadowed.close());

  async function start(...parts: Parameters<typeof startShadowed>): Promise<void> {
    shadowed = await startShadowed(...parts);
  }

  it('is compared, and never seen', async () => {
    await start(stamp('1.0.0'), stamp('1.1.0'));

    const answers = await shadowed.askAll(20);

    assert.deepEqual(new Set(answers.map(({ headers }) => headers.get('x-version'))), new Set(['1.0.0']));
    const { compared, differing, kinds, examples } = await shadowed.settled(20);
    assert.deepEqual([compared, differing], [20, 20]);
    assert.deepEqual(kinds, { 'response header x-version changed': 20 });
    const [example] = examples;
    assert.deepEqual([example?.method, example?.api, examples.length], ['GET', 'api', 5]);
    assert.deepEqual(example?.differences, [
      { place: 'response header', kind: 'changed', name: 'x-version', installed: '1.0.0', candidate: '1.1.0' },
    ]);
  });

  it('differs in nothing when it does the same, hook by hook', async () => {
    const hooks: Hooks = {
      onRequest: ({ request }) => {
        request.headers.set('x-a', '1');
        request.query = 'b=1';
      },
      onUpstreamRequest: async ({ request }) => request.headers.append('x-a', '2'),
      onResponse: ({ response }) => response?.headers.delete('content-type'),
    };
    await start(hooks, hooks);

    await shadowed.askAll(10);

    const { compared, differing, candidate } = await shadowed.settled(10);
    assert.deepEqual([compared, differing, candidate.calls], [10, 0, 30]);
  });

  it('is told by what part of the requests it differs in', async () => {
    await start(
      {},
      {
        onRequest({ request }) {
          if (/[05]$/.test(request.path)) request.headers.set('x-fifth', 'yes');
        },
      },
    );

    await shadowed.askAll(20);

    const { compared, differing, kinds } = await shadowed.settled(20);
    assert.deepEqual([compared, differing], [20, 4]);
    assert.deepEqual(kinds, { 'request header x-fifth added': 4 });
    assert.ok(shadowed.origin.seen.every(({ rawHeaders }) => !rawHeaders.includes('x-fifth')));
  });

  it('gets its part of the exchanges', async () => {
    await start(stamp('1.0.0'), stamp('1.1.0'), { percent: 20 });

    for (let round = 0; round < 10; round++) await shadowed.askAll(20);

    await until(() => shadowed.report().compared === shadowed.report().candidate.exchanges);
    const { compared } = shadowed.report();
    assert.ok(compared > 15 && compared < 75, `${compared} of 200`);
  });

  it('gets no more exchanges once it is stopped', async () => {
    let runs = 0;
    const onRequest = (): void => void runs++;
    await start(stamp('1.0.0'), { onRequest });
    await shadowed.ask();
    await shadowed.settled(1);

    shadowed.beside.isStopped = true;
    await shadowed.askAll(5);

    const { compared, candidate, withdrawn } = shadowed.report();
    assert.deepEqual([runs, compared, candidate.exchanges, withdrawn], [1, 1, 1, 1]);
  });

  it('leaves a refusal of the installed version as it is', async () => {
    const refuses = (): never => {
      throw new GatewayError('UNAUTHENTICATED', 'who are you?');
    };
    await start({ onRequest: refuses }, {});

    const { status } = await shadowed.ask();

    assert.equal(status, 401);
    const { examples } = await shadowed.settled(1);
    assert.deepEqual(
      examples[0]?.differences.map(({ place, installed }) => [place, installed]),
      [
        ['outcome', 'refused'],
        ['code', 'UNAUTHENTICATED'],
        ['status', '401'],
      ],
    );
  });

  it('sees a body that the installed version has read, and no other', async () => {
    const reads: Hooks = {
      async onRequest({ request }) {
        request.headers.set('x-size', String((await request.readBody()).length));
      },
    };
    await start(reads, reads);
    await shadowed.ask({ method: 'POST', body: 'four' });
    assert.deepEqual((await shadowed.settled(1)).differing, 0);
    await shadowed.close();

    await start({}, reads);
    const { status } = await shadowed.ask({ method: 'POST', body: 'four' });

    assert.equal(status, 200);
    const { skipped, compared, candidate } = await shadowed.settled(1);
    assert.deepEqual([skipped, compared, candidate.errors], [1, 0, 0]);
  });

  it('compares bodies that either puts in the place of what came', async () => {
    const puts = (text: string): Hooks => ({
      async onRequest({ request }) {
        const body = await request.readBody();
        request.setBody(Buffer.concat([body, Buffer.from(text)]));
      },
    });
    await start(puts('!'), puts('?!'));

    await shadowed.ask({ method: 'POST', body: 'four' });

    const { examples } = await shadowed.settled(1);
    assert.equal(shadowed.origin.seen[0]?.body.toString(), 'four!');
    assert.deepEqual(examples[0]?.differences, [
      { place: 'request body', kind: 'changed', installed: 'withheld', candidate: 'withheld' },
    ]);
  });

  it('leaves chunk hooks to the installed version', async () => {
    const shout = (text: string): Hooks => ({
      onResponseChunk: (chunk, last) => (last ? Buffer.concat([chunk, Buffer.from(text)]) : undefined),
    });
    await start(shout('1'), shout('2'));

    assert.equal(await (await fetch(shadowed.gateway.url)).text(), 'ok1');
    assert.equal((await shadowed.settled(1)).differing, 0);
  });
});
