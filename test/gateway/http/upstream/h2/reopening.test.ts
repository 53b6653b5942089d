// Connections to a target that fail: how soon another opens for those who wait.
// Must not test what a connection that opened takes: rooms.test.ts does.
import assert from 'node:assert/strict';
import { type AddressInfo, connect, createServer, type Server, Socket } from 'node:net';
import { mock } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import type { TargetAddress } from '../../../../../gateway/core/ports.ts';
import { until } from '../../../../support/until.ts';
import { makeCertificate } from '../../../../support/wire/certificates.ts';
import { FRAME, frame, packNumber } from '../../../../support/wire/h2-frames.ts';
import { startFrameOrigin, startH2Origin, startSecureH2Origin } from '../../../../support/wire/h2-origin.ts';
import { type Caller, createCaller, startFrames } from './caller.ts';

describe('HTTP/2 upstream client, reopening', () => {
  let caller: Caller;

  beforeEach(() => {
    caller = createCaller();
  });
  afterEach(() => caller.close());

  describe('while another connection is full', () => {
    const asked: (() => void)[] = [];
    let address: TargetAddress;
    let server: Server;
    let attempts: () => number;

    beforeEach(async () => {
      const origin = await startH2Origin(
        (stream) => asked.push(() => stream.respond({ ':status': 200 }, { endStream: true })),
        { settings: { maxConcurrentStreams: 1 } },
      );
      // Takes one connection, and no other until it listens again.
      server = createServer((socket) => {
        server.close();
        const behind = connect({ port: origin.port, host: '127.0.0.1' });
        for (const one of [socket, behind]) one.on('error', () => undefined);
        socket.pipe(behind).pipe(socket);
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as AddressInfo;
      address = caller.addressOf(origin, { port, connectMs: 600 });
      const { mock: connecting } = mock.method(Socket.prototype, 'connect');
      attempts = () =>
        connecting.calls.filter((call) => JSON.stringify(call.arguments).includes(`"port":${port}`)).length;
    });
    afterEach(() => {
      mock.restoreAll();
      server.close();
      for (const release of asked.splice(0)) release();
    });

    it('pauses ever longer between those that fail', async () => {
      const first = caller.send(address);
      await until(() => asked.length === 1);

      const second = await caller.send(address);

      assert.equal(second.end, 'overloaded');
      // One that opened; one at once, one after 100 ms, one after 200 ms more.
      assert.ok(attempts() > 2 && attempts() <= 4, `${attempts()} attempts`);
      asked.shift()?.();
      assert.equal((await first).end, 'done');
    });

    it('tries again for those who wait', async () => {
      const first = caller.send(address);
      await until(() => asked.length === 1);
      const second = caller.send(address);
      await until(() => attempts() === 2);

      server.listen(address.port, '127.0.0.1');
      await until(() => asked.length === 2);

      for (const release of asked.splice(0)) release();
      for (const { end } of await Promise.all([first, second])) assert.equal(end, 'done');
    });
  });

  it('pauses between connections that go away unused', async () => {
    const origin = await startFrames((_, socket) =>
      socket.write(frame(FRAME.goaway, 0, 0, Buffer.concat([packNumber(0), packNumber(0)]))),
    );

    const { end } = await caller.send(caller.addressOf(origin, { connectMs: 500 }), { method: 'POST' });

    assert.match(end, /^connect-/);
    assert.ok(origin.sockets.length <= 8, `${origin.sockets.length} connections`);
  });

  it('fails all who wait when the only connection does not open', async () => {
    const origin = await startFrameOrigin((_, socket) => socket.destroy());
    const address = caller.addressOf(origin);

    const outcomes = await Promise.all(Array.from({ length: 20 }, () => caller.send(address, { method: 'POST' })));

    const ends = outcomes.map(({ end }) => end);
    assert.equal(ends.filter((end) => end === 'connect-failed').length, 19);
    assert.equal(origin.sockets.length, 1);
  });

  it('does not open more to a target that turned out not to speak HTTP/2', async () => {
    const { chain, privateKey } = makeCertificate({ name: 'localhost', hosts: ['127.0.0.1'] });
    const held: (() => void)[] = [];
    const agreeing = await startSecureH2Origin(
      (stream) => held.push(() => stream.respond({ ':status': 200 }, { endStream: true })),
      { cert: chain, key: privateKey, settings: { maxConcurrentStreams: 1 } },
    );
    caller.keep(() => agreeing.close());
    const other = createTlsServer({ cert: chain, key: privateKey, ALPNProtocols: ['http/1.1'] });
    other.on('tlsClientError', () => undefined);
    caller.keep(() => other.close());
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    let connections = 0;
    const front = createServer((socket) => {
      const port = ++connections === 1 ? agreeing.port : (other.address() as AddressInfo).port;
      const behind = connect({ port, host: '127.0.0.1' });
      for (const one of [socket, behind]) one.on('error', () => undefined);
      socket.pipe(behind).pipe(socket);
    });
    caller.keep(() => front.close());
    await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
    const { port } = front.address() as AddressInfo;
    const tls = { id: 'lax', verify: false };
    const address = { protocol: 'h2', host: '127.0.0.1', port, connectMs: 500, tls } as const;
    const first = caller.send(address);
    await until(() => held.length === 1);

    const second = await caller.send(address);

    assert.equal(second.end, 'overloaded');
    assert.equal(connections, 2);
    held[0]?.();
    assert.equal((await first).end, 'done');
  });
});
