// Upgraded connections through the whole gateway: refused before, switched whole, closed by halves.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { makePlugin, openRaw, startGateway, type TestGateway } from '../../support/engine.ts';
import { makeApi, makeBinding, makeRoute, putAll } from '../../support/entities.ts';
import { until } from '../../support/until.ts';
import { startTcpOrigin, type TcpOrigin } from '../../support/wire/origin.ts';

const ASK =
  'GET /chat HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n';
const SWITCH =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: a\r\n\r\n';

const API_ID = '7c1f0a52-5d0e-4f0b-9a55-0d1f6a5f2b10';

describe('an upgrade', () => {
  let origin: TcpOrigin;
  let gateway: TestGateway;
  let onData: (socket: Socket, text: string) => void;

  beforeEach(async () => {
    onData = (socket, text) => {
      if (text.endsWith('\r\n\r\n')) socket.write(`${SWITCH}early`);
      else socket.write(text.slice(-1));
    };
    origin = await startTcpOrigin((socket, text) => onData(socket, text));
    gateway = await startGateway({
      plugins: [makePlugin('guard', { onRequest: (exchange) => exchange.respond(403, {}, 'no') })],
    });
    await publish();
  });

  afterEach(async () => {
    await gateway.close();
    await origin.close();
  });

  async function publish(more: Parameters<typeof putAll>[0] = {}, idleMs = 10_000): Promise<void> {
    const api = makeApi({
      id: API_ID,
      name: 'api',
      upstream: origin.url,
      timeouts: { connectMs: 2_000, responseMs: 2_000, idleMs },
      routes: [makeRoute({ paths: ['/'] })],
    });
    await gateway.apply(putAll({ apis: [api], ...more }));
  }

  it('passes bytes both ways, those that come with the heads included', async () => {
    const raw = await openRaw(gateway.port);

    raw.write(`${ASK}x`);
    const text = await raw.waitFor(/earlyx$/);
    raw.write('y');
    await raw.waitFor(/xy$/);

    assert.match(text, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
    assert.match(text, /\r\nUpgrade: websocket\r\n/);
    assert.match(text, /\r\nConnection: Upgrade\r\n/);
    assert.match(text, /\r\nSec-WebSocket-Accept: a\r\n/);
    assert.match(origin.received(), /\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nxy$/);
    assert.match(origin.received(), /\r\nSec-WebSocket-Key: k\r\n/);
    raw.socket.destroy();
  });

  it('runs plugins before: a refusal never reaches the upstream', async () => {
    await publish({ bindings: [makeBinding({ plugin: 'guard' })] });
    const raw = await openRaw(gateway.port);

    raw.write(ASK);
    await raw.waitFor(/^HTTP\/1\.1 403 [\s\S]*no$/);

    assert.equal(origin.received(), '');
    raw.socket.destroy();
  });

  it("relays the upstream's refusal and keeps the connection", async () => {
    onData = (socket) => socket.write('HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno');
    const raw = await openRaw(gateway.port);

    raw.write(ASK);
    await raw.waitFor(/^HTTP\/1\.1 426 [\s\S]*no$/);
    raw.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    await raw.waitFor(/no[\s\S]+no$/);

    raw.socket.destroy();
  });

  it('says what a target wants to be asked for', async () => {
    const refusal =
      'HTTP/1.1 426 Upgrade Required\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nno';
    onData = (socket) => socket.write(refusal);
    const raw = await openRaw(gateway.port);
    const old = await openRaw(gateway.port);

    raw.write('GET /chat HTTP/1.1\r\nHost: h\r\n\r\n');
    const text = await raw.waitFor(/no$/);
    old.write('GET /chat HTTP/1.0\r\nHost: h\r\n\r\n');
    const { text: toOld } = await old.closed();

    assert.match(text, /^HTTP\/1\.1 426 [\s\S]*\r\nUpgrade: websocket\r\n[\s\S]*\r\nConnection: Upgrade\r\n/);
    assert.match(toOld, /^HTTP\/1\.1 426 /);
    assert.doesNotMatch(toOld, /\r\nUpgrade:/i);
    raw.socket.destroy();
  });

  it('keeps an offer to itself that comes without being required', async () => {
    onData = (socket) =>
      socket.write('HTTP/1.1 200 OK\r\nConnection: upgrade\r\nUpgrade: h2,h2c\r\nContent-Length: 2\r\n\r\nok');
    const raw = await openRaw(gateway.port);

    raw.write('GET /chat HTTP/1.1\r\nHost: h\r\n\r\n');

    assert.doesNotMatch(await raw.waitFor(/ok$/), /upgrade/i);
    raw.socket.destroy();
  });

  it('answers 502 to a switch to what was not asked for', async () => {
    onData = (socket) =>
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n');
    const raw = await openRaw(gateway.port);

    raw.write(ASK);
    await raw.waitFor(/^HTTP\/1\.1 502 [\s\S]*UPSTREAM_INVALID_RESPONSE/);

    raw.socket.destroy();
  });

  it('answers 502 to a switch that nobody asked for', async () => {
    const raw = await openRaw(gateway.port);

    raw.write('GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n');
    await raw.waitFor(/^HTTP\/1\.1 502 [\s\S]*UPSTREAM_INVALID_RESPONSE/);

    assert.doesNotMatch(origin.received(), /upgrade/i);
    raw.socket.destroy();
  });

  it('closes one half when the other side closed it, and goes on with the other', async () => {
    const raw = await openRaw(gateway.port, true);
    raw.write(ASK);
    await raw.waitFor(/early$/);
    const [target] = origin.connections;
    assert.ok(target);
    target.allowHalfOpen = true;

    const ended = once(target, 'end');
    raw.socket.end('z');
    await ended;
    target.write('still here');
    await raw.waitFor(/still here$/);
    target.end();

    assert.equal((await raw.closed()).hadReset, false);
  });

  it('breaks the client side when the target breaks off', async () => {
    const raw = await openRaw(gateway.port);
    raw.write(ASK);
    await raw.waitFor(/early$/);

    origin.connections[0]?.resetAndDestroy();

    assert.equal((await raw.closed()).hadReset, true);
  });

  it('closes the target when the client breaks off', async () => {
    const raw = await openRaw(gateway.port);
    raw.write(ASK);
    await raw.waitFor(/early$/);
    const [target] = origin.connections;
    assert.ok(target);

    // The target sees a reset.
    const closed = new Promise((resolve) => target.once('close', resolve));
    raw.socket.resetAndDestroy();

    await closed;
  });

  it('takes none of the connections that requests may have to its target', async () => {
    const upgraded = onData;
    onData = (socket, text) => {
      if (text.startsWith('GET /plain')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain');
      else upgraded(socket, text);
    };
    for (let count = 0; count < 520; count++) {
      const raw = await openRaw(gateway.port);
      raw.write(ASK);
      await raw.waitFor(/early$/);
    }

    const plain = await openRaw(gateway.port);
    plain.write('GET /plain HTTP/1.1\r\nHost: h\r\n\r\n');

    assert.match(await plain.waitFor(/plain$|[}]$/), /^HTTP\/1\.1 200/);
  });

  it('ends after too long a silence', async () => {
    await publish({}, 300);
    const raw = await openRaw(gateway.port);

    raw.write(ASK);

    assert.match((await raw.closed()).text, /early$/);
  });

  it('lets the connection finish while draining', async () => {
    const raw = await openRaw(gateway.port);
    raw.write(ASK);
    await raw.waitFor(/early$/);

    const drained = gateway.drain();
    raw.write('y');
    await raw.waitFor(/earlyy$/);
    raw.socket.destroy();

    await drained;
  });

  it('breaks the client side also when the target broke off behind its own end', async () => {
    const raw = await openRaw(gateway.port, true);
    raw.write(ASK);
    await raw.waitFor(/early$/);
    const [target] = origin.connections;
    assert.ok(target);

    const ended = once(raw.socket, 'end');
    target.end();
    await ended;
    target.resetAndDestroy();
    // Who writes learns it.
    const talk = setInterval(() => raw.write('x'), 5);
    await raw.closed();
    clearInterval(talk);
    const drained = gateway.drain();

    await drained;
  });

  it('keeps little of what the target says while a plugin has not agreed yet', async () => {
    let agree: (() => void) | undefined;
    const wait = makePlugin(
      'wait',
      {
        onResponse: () =>
          new Promise<void>((resolve) => {
            agree = resolve;
          }),
      },
      { timeoutMs: 10_000 },
    );
    await gateway.close();
    gateway = await startGateway({ plugins: [wait] });
    await publish({ bindings: [makeBinding({ plugin: 'wait' })] });
    const flood = 'x'.repeat(16 * 1024 * 1024);
    onData = (socket) => {
      socket.write(SWITCH);
      socket.write(flood);
    };
    const raw = await openRaw(gateway.port);

    raw.write(ASK);
    await until(() => agree !== undefined);
    // What the buffers of the system on both sides hold is gone soon; the rest must stay with the target.
    await new Promise((resolve) => setTimeout(resolve, 200));
    const left = origin.connections[0]?.writableLength ?? 0;
    agree?.();
    await raw.waitFor(/x{1000}/);

    assert.ok(left > 4 * 1024 * 1024, `only ${left} bytes are left with the target`);
    raw.socket.destroy();
  });
});
