// What is kept of bytes that are lent, while others come through the same buffer.
// Must not test how long they may be kept.
import assert from 'node:assert/strict';
import { makePlugin, openRaw } from '../../support/engine.ts';
import { createStage, type Stage } from '../../support/proxied-api.ts';
import { startTcpOrigin } from '../../support/wire/origin.ts';

const LARGE = Array.from({ length: 400_000 }, (_, index) => `${index}`.padStart(11, '.')).join('\n');
const PIECE = LARGE.slice(0, 50_000);
const OTHER = 'x'.repeat(60_000);
const answerOf = (body: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n';

describe('bytes that are kept', () => {
  let stage: Stage;
  beforeEach(() => {
    stage = createStage();
  });
  afterEach(() => stage.close());

  it('by a hook are those of its own exchange', async () => {
    const origin = await stage.open(
      startTcpOrigin((socket, _text, last) => socket.write(answerOf(last.startsWith('GET /held ') ? PIECE : OTHER))),
    );
    let release = (): void => undefined;
    let began = (): void => undefined;
    const hasBegun = new Promise<void>((resolve) => {
      began = resolve;
    });
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { url } = await stage.publishWith(
      origin.url,
      makePlugin('holds', {
        async onResponseChunk(_chunk, _last, exchange) {
          if (exchange.request.path !== '/held') return;
          began();
          await held;
        },
      }),
    );
    const answer = fetch(`${url}/held`).then((response) => response.text());
    await hasBegun;
    for (let count = 0; count < 5; count++) assert.equal(await (await fetch(`${url}/other`)).text(), OTHER);
    release();
    assert.ok((await answer) === PIECE, 'the body of another exchange');
  });

  it('for a client of a tunnel that reads late are those of its own target', async () => {
    const origin = await stage.open(
      startTcpOrigin((socket, _text, last) =>
        socket.write(last.startsWith('GET /up ') ? SWITCH + LARGE : answerOf(OTHER)),
      ),
    );
    const { url, port } = await stage.publish(origin.url);
    const client = await openRaw(port);
    client.write('GET /up HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
    await client.waitFor(/\r\n\r\n/);
    client.socket.pause();
    for (let count = 0; count < 20; count++) assert.equal(await (await fetch(`${url}/other`)).text(), OTHER);
    client.socket.resume();
    await client.waitFor(/399999$/);
    assert.ok(client.text().split('\r\n\r\n')[1] === LARGE, 'bytes of others');
  });
});
