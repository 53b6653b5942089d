// Honest clients whose connections carry much: none is taken for a flood.
// Must not flood, but to see that it is noticed: floods.test.ts does.
import assert from 'node:assert/strict';
import { makePlugin, type TestGateway } from '../../../../support/engine.ts';
import { createStage } from '../../../../support/proxied-api.ts';
import { ask, openSession } from '../../../../support/wire/h2-client.ts';
import { FRAME, frame, openFrames } from '../../../../support/wire/h2-frames.ts';
import { startOrigin } from '../../../../support/wire/origin.ts';

const UPLOADS = 30;
const UPLOAD_BYTES = 100_000;
const PRIORITIES = Buffer.concat(
  Array.from({ length: 100_000 }, () => frame(FRAME.priority, 0, 1, Buffer.from([0, 0, 0, 3, 1]))),
);

/** Resolves when every connection that was open before has been looked at: one that floods was ended then. */
async function untilLookedAt({ port }: TestGateway): Promise<void> {
  const flood = await openFrames(port);
  flood.send(PRIORITIES);
  assert.equal(await flood.outcome(1), 'goaway 11');
  flood.close();
}

describe('HTTP/2 server', function () {
  this.timeout(20_000);
  const stage = createStage();

  afterEach(() => stage.close());

  it('lets bodies wait while a plugin takes its time', async () => {
    let giveLeave = (): void => undefined;
    const leave = new Promise<void>((resolve) => {
      giveLeave = resolve;
    });
    const origin = await startOrigin((request, response) => response.end(String(request.body.length)));
    stage.keep(() => origin.close());
    const slow = makePlugin('slow', { onRequest: () => leave }, { timeoutMs: 20_000 });
    const gateway = await stage.publish(origin.url, { plugins: [slow] });
    const session = openSession(gateway.url);
    stage.keep(() => session.destroy());
    const body = Buffer.alloc(UPLOAD_BYTES);

    const uploads = Array.from({ length: UPLOADS }, () => ask(session, { ':method': 'POST' }, body));
    await untilLookedAt(gateway);
    giveLeave();
    const answers = await Promise.all(uploads);

    assert.deepEqual(
      answers.map((answer) => answer.body.toString()),
      answers.map(() => String(UPLOAD_BYTES)),
    );
  });
});
