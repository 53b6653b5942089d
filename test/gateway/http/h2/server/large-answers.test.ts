// Answers that are larger than what a client takes at a time, from somebody who has them whole.
// Must not stream them: endings.test.ts does.
import assert from 'node:assert/strict';
import { type ClientHttp2Session, type ClientHttp2Stream, createServer, type Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { mock } from 'node:test';
import { ServerStream } from '../../../../../gateway/http/h2/server-stream.ts';
import { TrafficWatch } from '../../../../../gateway/http/h2/traffic-watch.ts';
import { Deadlines } from '../../../../../gateway/http/message/deadlines.ts';
import { makePlugin } from '../../../../support/engine.ts';
import { createStage } from '../../../../support/proxied-api.ts';
import { ask, gather, openSession } from '../../../../support/wire/h2-client.ts';
import { headersFrame, openFrames, requestLines } from '../../../../support/wire/h2-frames.ts';

const BODY = Buffer.alloc(1024 * 1024, 'abcdefghijk');
const STREAMS = 100;
/** Beyond what may have been on its way already. */
const READ_BYTES = 256 * 1024;

describe('HTTP/2 server, large answers of plugins', () => {
  const stage = createStage();
  const own = makePlugin('own', { onRequest: (exchange) => exchange.respond(200, {}, BODY) });

  afterEach(() => stage.close());

  it('sends them whole', async () => {
    const gateway = await stage.publishWith('http://127.0.0.1:1', own);
    const session = openSession(gateway.url);
    stage.keep(() => session.destroy());

    const answers = await Promise.all([ask(session), ask(session, { te: 'trailers' }), ask(session, {}, 'a body')]);

    for (const { body, headers, resetCode } of answers) {
      assert.ok(body.equals(BODY));
      assert.deepEqual([headers['content-length'], resetCode], [String(BODY.length), 0]);
    }
  });

  it('begins as many as there may be streams while none is read', async () => {
    const gateway = await stage.publishWith('http://127.0.0.1:1', own);
    const client = await openFrames(gateway.port);
    stage.keep(() => client.close());

    // One after the other: what is refused is what comes when much waits already.
    const outcomes: string[] = [];
    for (let id = 1; id < 2 * STREAMS; id += 2) {
      client.send(headersFrame(id, requestLines()));
      outcomes.push(await client.outcome(id));
    }

    assert.deepEqual(new Set(outcomes), new Set(['status 200']));
  });
});

describe('ServerStream', () => {
  let server: Http2Server;
  let session: ClientHttp2Session;
  let deadlines: Deadlines;
  let response: ServerStream;
  let stream: ClientHttp2Stream;
  let nowMs: number;

  beforeEach(async () => {
    nowMs = performance.now();
    mock.method(performance, 'now', () => nowMs);
    deadlines = new Deadlines(60_000);
    const owner = { deadlines, traffic: new TrafficWatch(nowMs), left: () => undefined };
    server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    session = openSession(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    stream = session.request();
    stream.on('error', () => undefined);
    response = await new Promise((resolve) => {
      server.on('stream', (one) => {
        one.on('error', () => undefined);
        resolve(new ServerStream(one, owner, { method: 'GET', acceptsTrailers: false, body: undefined }));
      });
    });
    response.writeHead(200, [], BODY.length);
    response.write(BODY);
    response.end();
  });
  afterEach(() => {
    mock.restoreAll();
    session.destroy();
    server.close();
    deadlines.close();
  });

  it('gives a client a minute for a piece of an answer, not for all of it', async () => {
    for (let read = 0; read < 3 * READ_BYTES; read += READ_BYTES) {
      nowMs += 40_000;
      await readSome(stream);
      response.expire();
    }
    stream.resume();

    const { resetCode } = await gather(stream);
    assert.equal(resetCode, 0);
  });

  it('gives up who takes nothing for a minute', async () => {
    await readSome(stream);

    nowMs += 60_000;
    response.expire();

    const { resetCode } = await gather(stream);
    assert.equal(resetCode, 2);
  });
});

/** Reads a part, then pauses. */
function readSome(stream: ClientHttp2Stream): Promise<void> {
  return new Promise((resolve) => {
    let left = READ_BYTES;
    const take = (chunk: Buffer): void => {
      left -= chunk.length;
      if (left > 0) return;
      stream.off('data', take);
      stream.pause();
      resolve();
    };
    stream.on('data', take);
    stream.resume();
  });
}
