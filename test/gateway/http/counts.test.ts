// What the wire counts: connections on both sides, upgrades, refusals, who was turned away.
// Must not test how counts are shown: node.test.ts does.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { openRaw } from '../../support/engine.ts';
import { createStage } from '../../support/proxied-api.ts';
import { until } from '../../support/until.ts';
import { ask, openSession } from '../../support/wire/h2-client.ts';
import { headersFrame, openFrames, requestLines } from '../../support/wire/h2-frames.ts';
import { startH2Origin } from '../../support/wire/h2-origin.ts';
import { startOrigin, startTcpOrigin } from '../../support/wire/origin.ts';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

describe('the wire counts', () => {
  const stage = createStage();

  afterEach(() => stage.close());

  it('connections with clients by what they speak', async () => {
    const origin = await stage.open(startOrigin());
    const { listener, port, url } = await stage.publish(origin.url);

    const silent = connect({ port, host: '127.0.0.1' });
    const raw = await openRaw(port);
    raw.write(GET);
    await raw.waitFor(/ok$/);
    const session = openSession(url);
    await ask(session);
    await until(() => listener.countConnections().none === 1);
    const open = listener.countConnections();
    for (const { socket } of [raw, { socket: silent }]) socket.destroy();
    session.close();
    await until(() => Object.values(listener.countConnections()).every((count) => count === 0));

    assert.deepEqual(open, { 'http/1.1': 1, h2: 1, none: 1 });
  });

  it('connections to targets, used and idle', async () => {
    let answer = (): void => undefined;
    const origin = await stage.open(
      startOrigin(({ target }, response) => {
        answer = () => response.end('ok');
        if (target !== '/slow') answer();
      }),
    );
    const { upstream, port } = await stage.publish(origin.url);
    const [slow, quick] = [await openRaw(port), await openRaw(port)];

    slow.write(GET.replace('/', '/slow'));
    await until(() => origin.seen.length === 1);
    const whenSlow = answer;
    quick.write(GET);
    await quick.waitFor(/ok$/);
    const during = upstream.countConnections()['http/1.1'];
    whenSlow();
    await slow.waitFor(/ok$/);
    const afterwards = upstream.countConnections()['http/1.1'];
    for (const { socket } of [slow, quick]) socket.destroy();

    assert.deepEqual(during, { used: 1, idle: 1 });
    assert.deepEqual(afterwards, { used: 0, idle: 2 });
  });

  it('connections to targets that speak HTTP/2', async () => {
    const origin = await stage.open(startH2Origin((stream) => stream.respond({ ':status': 204 }, { endStream: true })));
    const { upstream, port } = await stage.publish(origin.url);
    const raw = await openRaw(port);

    raw.write(GET);
    await raw.waitFor(/ 204 [\s\S]*\r\n\r\n$/);
    await until(() => upstream.countConnections().h2.idle === 1);
    raw.socket.destroy();

    assert.deepEqual(upstream.countConnections(), { 'http/1.1': { used: 0, idle: 0 }, h2: { used: 0, idle: 1 } });
  });

  it('upgrades, all and such as are open', async () => {
    const origin = await stage.open(
      startTcpOrigin((socket) =>
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n'),
      ),
    );
    const { tally, port } = await stage.publish(origin.url);
    const raw = await openRaw(port);

    raw.write('GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n');
    await raw.waitFor(/ 101 [\s\S]*\r\n\r\n$/);
    const during = [tally.openUpgrades, tally.upgrades];
    raw.socket.destroy();
    await until(() => tally.openUpgrades === 0);

    assert.deepEqual([during, tally.upgrades], [[1, 1], 1]);
  });

  it('refusals of what is no request by their codes, and of no request', async () => {
    const origin = await stage.open(startOrigin());
    const { tally, port } = await stage.publish(origin.url);
    const chunked = 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n';
    const refused = [
      'nonsense\r\n\r\n',
      `GET / HTTP/1.1\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`,
      `${GET}nonsense\r\n\r\n`,
    ];

    for (const bytes of [...refused, chunked, 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n']) {
      const raw = await openRaw(port);
      raw.write(bytes);
      await raw.closed();
    }
    const frames = await openFrames(port);
    frames.send(headersFrame(1, requestLines({ ':scheme': 'ftp' })));
    await until(() => tally.refusals.get('REQUEST_MALFORMED') === 3);
    frames.socket.destroy();

    assert.deepEqual(Object.fromEntries(tally.refusals), { REQUEST_MALFORMED: 3, HEADERS_TOO_LARGE: 1 });
  });

  it('connections that are closed at once', async () => {
    const origin = await stage.open(startOrigin());
    const { tally, port } = await stage.publish(origin.url, { maxConnectionsPerIp: 1 });
    const first = await openRaw(port);

    const second = connect({ port, host: '127.0.0.1' });
    second.on('error', () => undefined);
    await once(second, 'close');
    first.socket.destroy();

    assert.deepEqual(tally.turnedAway, { connections: 0, 'connections-per-ip': 1 });
  });
});
