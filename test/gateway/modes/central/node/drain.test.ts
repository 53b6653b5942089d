// A node that is told to end while connections of every kind are open: each is finished as it should be, none is reset.
// Must not test what happens when the drain time is over: node-lifecycle.test.ts does.
import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { openRaw, type RawClient } from '../../../../support/engine.ts';
import { createDatabase, type TestDatabase } from '../../../../support/product/database.ts';
import { type RunningProduct, startNode } from '../../../../support/product/gateway.ts';
import { makeApi, publish, write } from '../../../../support/product/publish.ts';
import { ask, openSession } from '../../../../support/wire/h2-client.ts';

const UPGRADE = 'GET /api HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n';
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n';
const TIMEOUTS = { connectMs: 2_000, responseMs: 30_000, idleMs: 30_000 };

const get = (path: string): string => `GET /api${path} HTTP/1.1\r\nHost: h\r\n\r\n`;

describe('a node that drains', function () {
  this.timeout(60_000);
  let database: TestDatabase;
  let node: RunningProduct;
  let origin: ReturnType<typeof createServer>;
  /** Requests that wait to be finished, by path. */
  const waiting = new Map<string, ServerResponse>();
  let onWaiting = (): void => undefined;

  before(async () => {
    database = await createDatabase();
    origin = createServer((request, response) => {
      if (request.url === '/quick') {
        response.end('quick');
        return;
      }
      if (request.url === '/stream') response.write('data: 1\n\n');
      waiting.set(request.url ?? '', response);
      onWaiting();
    });
    origin.on('upgrade', (_: IncomingMessage, socket: Socket) => {
      socket.write(SWITCH);
      socket.pipe(socket);
    });
    await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
    const upstream = `http://127.0.0.1:${(origin.address() as AddressInfo).port}`;
    await publish(database.url, [write('api', makeApi('api', { upstream, timeouts: TIMEOUTS }))]);
    node = await startNode(database.url);
  });

  after(async () => {
    await node?.stop();
    origin.closeAllConnections();
    await new Promise((resolve) => origin.close(resolve));
    await database.drop();
  });

  it('finishes requests, streams and upgrades, and closes what is idle or half asked', async () => {
    const port = Number(new URL(node.urls.proxy).port);
    const open = async (bytes: string, pattern: RegExp): Promise<RawClient> => {
      const raw = await openRaw(port);
      raw.write(bytes);
      await raw.waitFor(pattern);
      return raw;
    };
    const areWaiting = new Promise<void>((resolve) => {
      onWaiting = () => {
        if (waiting.size === 3) resolve();
      };
    });
    const idle = await open(get('/quick'), /quick$/);
    const late = await open(get('/quick'), /quick$/);
    const half = await open('GET /api/quick HTTP/1.1\r\nHo', /^/);
    const silent = await open('', /^/);
    const slow = await open(get('/slow'), /^/);
    const stream = await open(get('/stream'), /data: 1\n\n/);
    const upgraded = await open(UPGRADE, /101 [\s\S]*\r\n\r\n$/);
    const session = openSession(node.urls.proxy);
    const goaway = new Promise((resolve) => session.once('goaway', resolve));
    const second = ask(session, { ':path': '/api/h2' });
    await areWaiting;

    node.kill('SIGTERM');
    await node.waitForLog((line) => line['message'] === 'draining');
    // Was under way when the node was told.
    late.write(get('/quick'));
    await goaway;
    const [idleEnd, silentEnd, halfEnd] = [await idle.closed(), await silent.closed(), await half.closed()];
    upgraded.write('still here');
    await upgraded.waitFor(/still here$/);
    waiting.get('/slow')?.end('slow');
    waiting.get('/stream')?.end('data: 2\n\n');
    waiting.get('/h2')?.end('h2');
    const ends = await Promise.all([late.closed(), slow.closed(), stream.closed()]);
    const { status, body } = await second;
    upgraded.socket.end();
    const upgradedEnd = await upgraded.closed();

    assert.deepEqual(await node.ended, { code: 0, signal: null });
    assert.match(idleEnd.text, /quick$/);
    assert.equal(silentEnd.text, '');
    assert.match(halfEnd.text, /^(?:HTTP\/1\.1 408 [\s\S]*)?$/);
    const [lateEnd, slowEnd, streamEnd] = ends;
    assert.match(lateEnd?.text ?? '', /quick[\s\S]*\r\nConnection: close\r\n[\s\S]*quick$/);
    assert.match(slowEnd?.text ?? '', /\r\nConnection: close\r\n[\s\S]*slow$/);
    // Its head was out before; it ends behind the answer all the same.
    assert.match(streamEnd?.text ?? '', /data: 1\n\n[\s\S]*data: 2\n\n[\s\S]*0\r\n\r\n$/);
    assert.deepEqual([status, String(body)], [200, 'h2']);
    for (const { hadReset } of [idleEnd, silentEnd, halfEnd, upgradedEnd, ...ends]) assert.equal(hadReset, false);
  });
});
