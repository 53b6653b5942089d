// What becomes of a request's body that a plugin reads: twice, late, in part, or when the client leaves.
// Must not change bodies: chunks.test.ts does.
import assert from 'node:assert/strict';
import type { GatewayError, Plugin } from '../../../../gateway/core/plugin.ts';
import { makePlugin, openRaw, type TestGateway } from '../../../support/engine.ts';
import { createStage, type Stage } from '../../../support/proxied-api.ts';
import { until } from '../../../support/until.ts';
import { type Origin, startOrigin } from '../../../support/wire/origin.ts';

type Hooks = Plugin<unknown, unknown>;

describe('an exchange request body', () => {
  let stage: Stage;
  let origin: Origin;

  beforeEach(async () => {
    stage = createStage();
    origin = await stage.open(startOrigin());
  });

  afterEach(() => stage.close());

  const start = (hooks: Hooks, timeoutMs = 1_000): Promise<TestGateway> =>
    stage.publishWith(origin.url, makePlugin('plugin', hooks, { timeoutMs }));

  async function send(gateway: TestGateway, head: string, body = ''): Promise<string> {
    const raw = await openRaw(gateway.port);
    raw.write(`${head} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n`);
    raw.write(body === '' ? '\r\n' : `Content-Length: ${body.length}\r\n\r\n${body}`);
    return (await raw.closed()).text;
  }

  it('can be read twice at the same time, and again in a later hook', async () => {
    const lengths: number[] = [];
    const gateway = await start({
      onRequest: async ({ request }) => {
        const bodies = await Promise.all([request.readBody(), request.readBody()]);
        lengths.push(...bodies.map(({ length }) => length));
      },
      onResponse: async ({ request }) => void lengths.push((await request.readBody()).length),
    });

    await send(gateway, 'POST /', 'hello');

    assert.deepEqual(lengths, [5, 5, 5]);
    assert.equal(origin.seen[0]?.body.toString(), 'hello');
  });

  it('goes upstream whole though the plugin that reads it does not wait', async () => {
    const gateway = await start({ onRequest: ({ request }) => void request.readBody() });

    await send(gateway, 'POST /', 'hello');

    assert.equal(origin.seen[0]?.body.toString(), 'hello');
  });

  it('cannot be read once it went upstream', async () => {
    const gateway = await start({
      onResponse: async ({ request, response }) => {
        await request.readBody().catch((error: Error) => response?.headers.set('x-error', error.name));
      },
    });

    assert.match(await send(gateway, 'POST /', 'hello'), /^HTTP\/1\.1 200 [\s\S]*x-error: TypeError/);
  });

  it('never goes upstream in part: 413 though the plugin that read too much goes on', async () => {
    const gateway = await start({
      onRequest: ({ request }) => request.readBody(3).then(undefined, () => undefined) as Promise<void>,
    });
    const raw = await openRaw(gateway.port);

    raw.write('POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n');

    await raw.waitFor(/^HTTP\/1\.1 413 /);
    raw.socket.destroy();
    assert.equal(origin.seen.length, 0);
  });

  for (const when of ['before', 'while'] as const) {
    it(`fails to be read when the client leaves ${when} it is`, async () => {
      let outcome = '';
      let hasBegun = false;
      let leave: () => void = () => undefined;
      const left = new Promise<void>((resolve) => {
        leave = resolve;
      });
      const gateway = await start({
        onRequest: async ({ request }) => {
          hasBegun = true;
          if (when === 'before') await left;
          await request.readBody().catch((error: GatewayError) => {
            outcome = error.code;
          });
        },
        onLog: () => leave(),
      });
      const raw = await openRaw(gateway.port);

      raw.write('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc');
      await until(() => hasBegun);
      raw.socket.destroy();
      await until(() => outcome !== '');

      assert.equal(outcome, 'REQUEST_MALFORMED');
    });
  }
});
