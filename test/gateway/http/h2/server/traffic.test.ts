// Honest clients whose connections carry much: none is taken for a flood.
// Must not flood, but to see that it is noticed: floods.test.ts does.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { makePlugin, type TestGateway } from '../../../../support/engine.ts';
import { createStage } from '../../../../support/proxied-api.ts';
import { until } from '../../../../support/until.ts';
import { ask, openSession } from '../../../../support/wire/h2-client.ts';
import {
  FRAME,
  frame,
  headersFrame,
  openFrames,
  packNumber,
  requestLines,
} from '../../../../support/wire/h2-frames.ts';
import { startOrigin, startRawOrigin } from '../../../../support/wire/origin.ts';

const UPLOADS = 30;
const UPLOAD_BYTES = 100_000;
/** What may come in 2 s that carries nothing. */
const FREE_BYTES = 1024 * 1024;
const STEP_BYTES = 512;
const WINDOWS = Buffer.concat([0, 1].map((id) => frame(FRAME.window, 0, id, packNumber(STEP_BYTES))));
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

  it('lets a download open its windows in small steps', async () => {
    const piece = Buffer.alloc(64 * 1024);
    const origin = await startRawOrigin((_, response) => {
      const push = (): void => {
        while (response.write(piece));
      };
      response.on('drain', push);
      push();
    });
    stage.keep(() => origin.close());
    const gateway = await stage.publish(origin.url);
    const socket = connect(gateway.port, '127.0.0.1');
    stage.keep(() => socket.destroy());
    let isClosed = false;
    socket.on('error', () => undefined);
    socket.on('close', () => {
      isClosed = true;
    });
    // Not cut into frames: what comes is nearly all DATA, and the windows may well grow a little.
    let owed = 0;
    socket.on('data', ({ length }) => {
      owed += length;
      const steps = Math.floor(owed / STEP_BYTES);
      owed -= steps * STEP_BYTES;
      socket.write(Buffer.concat(Array.from({ length: steps }, () => WINDOWS)));
    });

    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    socket.write(Buffer.concat([frame(FRAME.settings, 0, 0), headersFrame(1, requestLines())]));
    await until(() => socket.bytesWritten > 4 * FREE_BYTES || isClosed);
    await untilLookedAt(gateway);

    assert.equal(isClosed, false);
  });
});
