// Targets that take a request slowly, but do take it.
// Must not test such as fall silent: faults.test.ts does.
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { makePlugin, openRaw } from '../../../support/engine.ts';
import { createStage, type Stage } from '../../../support/proxied-api.ts';
import { startRawOrigin } from '../../../support/wire/origin.ts';

const MB = 1024 * 1024;
/** Twice what the system holds for two sockets, or more. */
const BODY_BYTES = 48 * MB;
const STEP_BYTES = 4 * MB;
const STEP_MS = 250;
/** Shorter than the body takes, and longer than any step of it. */
const PATIENCE_MS = 2_000;

describe('a slow target', () => {
  let stage: Stage;

  beforeEach(() => {
    stage = createStage();
  });

  afterEach(() => stage.close());

  it('has all the time it takes for a body that a plugin collected', async () => {
    const origin = await stage.open(
      startRawOrigin(async (request, response) => {
        let bytes = 0;
        for await (const chunk of request) {
          const before = bytes;
          bytes += chunk.length;
          if (Math.floor(bytes / STEP_BYTES) > Math.floor(before / STEP_BYTES)) await delay(STEP_MS);
        }
        response.end(`${bytes} bytes!`);
      }),
    );
    const collect = makePlugin('collect', {
      onRequest: async ({ request }) => {
        await request.readBody(BODY_BYTES);
      },
    });
    const timeouts = { connectMs: 1_000, responseMs: PATIENCE_MS, idleMs: PATIENCE_MS };
    const { port } = await stage.publish(origin.url, { plugins: [collect], api: { timeouts } });
    const raw = await openRaw(port);

    raw.write(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${BODY_BYTES}\r\n\r\n`);
    raw.write('x'.repeat(BODY_BYTES));

    assert.match(await raw.waitFor(/[!}]$/), new RegExp(`^HTTP/1\\.1 200 [\\s\\S]*\\r\\n${BODY_BYTES} bytes!$`));
    raw.socket.destroy();
  }).timeout(20_000);
});
