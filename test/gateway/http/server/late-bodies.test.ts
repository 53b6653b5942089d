// Bodies that wait for their client while others come through the same buffer.
// Must not test how long they may wait: untaken-answers.test.ts does.
import assert from 'node:assert/strict';
import { createStage, type Stage } from '../../../support/proxied-api.ts';
import { startTcpOrigin } from '../../../support/wire/origin.ts';

/** More than is kept on the way to a client that does not read; no two parts of it are alike. */
const BODY = Array.from({ length: 1_500_000 }, (_, index) => `${index}`.padStart(11, '.')).join('\n');
const OTHER = 'x'.repeat(60_000);

const answerOf = (body: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

describe('a large body that its client takes late', () => {
  let stage: Stage;

  beforeEach(() => {
    stage = createStage();
  });

  afterEach(() => stage.close());

  for (const [framing, large] of [
    ['by a length', answerOf(BODY)],
    [
      'in chunks',
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`,
    ],
  ] as const) {
    it(`is what the target sent ${framing}, whatever was sent to others meanwhile`, async () => {
      const origin = await stage.open(
        startTcpOrigin((socket, _text, last) => socket.write(last.startsWith('GET /large ') ? large : answerOf(OTHER))),
      );
      const { url } = await stage.publish(origin.url);

      const late = await fetch(`${url}/large`);
      for (let count = 0; count < 20; count++) assert.equal(await (await fetch(`${url}/other`)).text(), OTHER);
      const text = await late.text();

      assert.ok(text === BODY, `${text.length} of ${BODY.length} characters, or others`);
    });
  }
});
