// What plugins fetch with: goes where it was told and no further, carries what it was given, and ends.
// Must not need a gateway.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createFetcher, type Fetcher } from '../../../gateway/ops/fetch.ts';
import { type Origin, startOrigin, startRawOrigin } from '../../support/wire/origin.ts';

describe('fetch of plugins', () => {
  let fetcher: Fetcher;
  let origin: Origin | undefined;

  beforeEach(() => {
    fetcher = createFetcher();
  });

  afterEach(async () => {
    await fetcher.close();
    await origin?.close();
  });

  // An Authorization that follows a redirect tells a stranger: CVE-2023-45143.
  for (const status of [301, 302, 303, 307, 308]) {
    it(`gives a redirect by ${status} back and does not follow it`, async () => {
      const side = await startOrigin((_, response) =>
        response.writeHead(status, { location: `http://127.0.0.1:${side.port}/elsewhere` }).end(),
      );
      origin = side;

      const answer = await fetcher.fetch(`${side.url}/keys`, { headers: { authorization: 'secret' } });

      assert.equal(answer.status, status);
      assert.deepEqual(
        side.seen.map(({ target }) => target),
        ['/keys'],
      );
    });
  }

  it('carries what it was given, and nothing of its own but what frames and routes', async () => {
    origin = await startOrigin();

    await fetcher.fetch(`${origin.url}/keys`, { method: 'POST', headers: { 'x-a': '1' }, body: Buffer.from('body') });

    const lines = origin.seen[0]?.rawHeaders ?? [];
    const names = lines.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase());
    assert.deepEqual(names.sort(), ['connection', 'content-length', 'host', 'x-a']);
  });

  it('gives up on time, and on more bytes than it may take, and closes the connection', async () => {
    const closes: Promise<unknown>[] = [];
    origin = await startRawOrigin((request, response) => {
      closes.push(once(response, 'close'));
      if (request.url === '/large') response.end(Buffer.alloc(2_000_000));
      else if (request.url === '/drip') response.write('x');
    });

    for (const path of ['/silent', '/drip', '/large']) {
      await assert.rejects(fetcher.fetch(`${origin.url}${path}`, { timeoutMs: 200, maxBytes: 1_000 }));
    }

    await Promise.all(closes);
    assert.equal(closes.length, 3);
  });
});
