// Targets that answer before the request was sent whole: the answer arrives, whatever becomes of the rest.
// Must not test what a client sends behind an answer: unread-bodies.test.ts does.
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { makePlugin, openRaw, type RawClient, type TestGateway } from '../../../support/engine.ts';
import { createStage, type Stage } from '../../../support/proxied-api.ts';
import { until } from '../../../support/until.ts';
import { startTcpOrigin } from '../../../support/wire/origin.ts';

const MB = 1024 * 1024;
const PIECE = 'x'.repeat(MB / 4);
const REFUSAL = 'HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno!';

describe('a target that answers early', () => {
  let stage: Stage;
  let onData: (socket: Socket, text: string) => void;
  let gateway: TestGateway;

  beforeEach(async () => {
    stage = createStage();
    const origin = await stage.open(startTcpOrigin((socket, text) => onData(socket, text)));
    gateway = await stage.publish(origin.url, {
      api: { retries: { attempts: 0 }, timeouts: { connectMs: 1_000, responseMs: 400, idleMs: 400 } },
    });
  });

  afterEach(() => stage.close());

  // Writes fail as soon as the reset is there, and whether the answer was read before that is a matter of luck.
  for (const how of ['closes', 'resets'] as const) {
    it(`and ${how} the connection under the body is heard, every time`, async () => {
      onData = (socket, text) => {
        if (text.length < 100_000) return;
        socket.pause();
        socket.write(REFUSAL, () => {
          // To close with bytes unread makes the system send a reset.
          if (how === 'closes') socket.destroy();
          else socket.resetAndDestroy();
        });
      };

      for (let round = 0; round < 20; round++) {
        const raw = await openRaw(gateway.port);
        raw.write(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${50 * MB}\r\n\r\n`);
        for (let count = 0; count < 8; count++) raw.write('x'.repeat(MB / 4));
        const text = await raw.waitFor(/\r\n\r\n[\s\S]*[!}]$/);
        raw.socket.destroy();

        assert.match(text, /^HTTP\/1\.1 413 [\s\S]*\r\nConnection: close\r\n[\s\S]*no!$/, `round ${round}`);
      }
    }).timeout(30_000);
  }

  it('is not given up while the client goes on sending its body', async () => {
    let isDone = false;
    onData = (socket, text) => {
      if (text.endsWith('\r\n\r\nab')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n');
      if (text.endsWith('yz')) {
        isDone = true;
        socket.write('ok');
      }
    };
    const raw = await openRaw(gateway.port);

    raw.write('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab');
    await raw.waitFor(/^HTTP\/1\.1 200 [\s\S]*\r\n\r\n$/);
    // Longer than a target may be silent.
    await new Promise((resolve) => setTimeout(resolve, 700));
    raw.write('yz');
    await until(() => isDone);
    await raw.waitFor(/ok$/);

    raw.socket.destroy();
  });

  it('and falls silent is given up once the body is sent', async () => {
    onData = (socket, text) => {
      if (text.endsWith('\r\n\r\nab')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n');
    };
    const raw = await openRaw(gateway.port);

    raw.write('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab');
    await raw.waitFor(/^HTTP\/1\.1 200 [\s\S]*\r\n\r\n$/);
    raw.write('yz');

    assert.equal((await raw.closed()).hadReset, true);
  });

  it('echoes a body while it comes', async () => {
    onData = (socket, text) => {
      if (text.endsWith('\r\n\r\n')) socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      else socket.write(`1\r\n${text.slice(-1)}\r\n`);
      if (text.endsWith('z')) socket.write('0\r\n\r\n');
    };
    const raw = await openRaw(gateway.port);

    raw.write('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n');
    await raw.waitFor(/\r\n\r\n$/);
    for (const char of 'xyz') {
      raw.write(char);
      await raw.waitFor(new RegExp(`1\r\n${char}\r\n`));
    }
    await raw.waitFor(/0\r\n\r\n$/);

    raw.socket.destroy();
  });

  // Bytes with a reset behind them read like an orderly end, all the more while bytes wait for the other direction.
  it('until it closes, and then resets the connection under the body, has not answered whole', async () => {
    let raw: RawClient;
    onData = (socket, text) => {
      if (text.length < 100_000 || socket.isPaused()) return;
      socket.pause();
      const answer = (): boolean => socket.write('HTTP/1.1 200 OK\r\n\r\nhalf of it', () => socket.resetAndDestroy());
      // Everything between here and there is full: no more left for many turns.
      let waiting = 0;
      let turns = 0;
      const isFull = (): boolean => {
        const { writableLength } = raw.socket;
        turns = writableLength === waiting ? turns + 1 : 0;
        waiting = writableLength;
        return turns === 100;
      };
      void until(isFull).then(answer);
    };

    for (let round = 0; round < 20; round++) {
      raw = await openRaw(gateway.port);
      raw.write(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${50 * MB}\r\n\r\n`);
      for (let count = 0; count < 200; count++) raw.write(PIECE);
      const { text } = await raw.closed();

      assert.doesNotMatch(text, /\r\n0\r\n\r\n$/, `round ${round}`);
    }
  }).timeout(30_000);

  it('before it has read a body that a plugin collected gets no other request on that connection', async () => {
    const origin = await stage.open(
      startTcpOrigin((socket, text, last) => {
        if (text !== last) return;
        socket.pause();
        socket.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno!');
      }),
    );
    const collect = makePlugin('collect', {
      onRequest: async ({ request }) => {
        await request.readBody(16 * MB);
      },
    });
    gateway = await stage.publishWith(origin.url, collect);
    const [first, second] = [await openRaw(gateway.port), await openRaw(gateway.port)];
    first.write(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${8 * MB}\r\n\r\n${'x'.repeat(8 * MB)}`);
    await first.waitFor(/no!$/);

    second.write('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi');

    await second.waitFor(/no!$/);
    assert.equal(origin.connections.length, 2);
  });
});
