// How upgraded connections end: by halves, in silence, with one side that never closes, or that reads late.
// Must not test how they begin: upgrade.test.ts does.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { createServer } from 'node:tls';
import type { Timeouts } from '../../../gateway/core/model.ts';
import type { Tunnel, UpstreamCall } from '../../../gateway/core/ports.ts';
import { createUpstreamClient, type HttpUpstreamClient } from '../../../gateway/http/upstream/client.ts';
import { openRaw, type RawClient, type TestGateway } from '../../support/engine.ts';
import { makeUpstream } from '../../support/entities.ts';
import { createStage } from '../../support/proxied-api.ts';
import { until } from '../../support/until.ts';
import { makeCertificate } from '../../support/wire/certificates.ts';
import { startTcpOrigin } from '../../support/wire/origin.ts';

const ASK = 'GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n';
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n';
const IDLE_MS = 300;
/** How late a time-out may be seen: deadlines are looked at every 20 ms, and the machine may be busy. */
const LATE_MS = 2_000;
const MB = 1024 * 1024;

/** Unlike `once` it takes a reset for a close, too. */
function closeOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

/** A socket that saw the end of its peer reads no more, and learns by writing what became of the connection. */
async function assertReset(socket: Socket): Promise<void> {
  const error = await new Promise<Error | null | undefined>((resolve) => socket.write('', resolve));
  assert.match(String(error), /ECONNRESET|EPIPE/);
}

describe('an upgraded connection', () => {
  const stage = createStage();

  afterEach(() => stage.close());

  /** Opens one whose target closes its half only when it is told to. */
  async function openTunnel(changes: Partial<Timeouts> = {}): Promise<{ client: RawClient; target: Socket }> {
    const origin = await stage.open(
      startTcpOrigin((socket, text) => {
        socket.allowHalfOpen = true;
        if (text.endsWith('\r\n\r\n')) socket.write(SWITCH);
      }),
    );
    const timeouts = { connectMs: 2_000, responseMs: 2_000, idleMs: IDLE_MS, ...changes };
    const gateway = await stage.publish(origin.url, { api: { timeouts } });
    const client = await openRaw(gateway.port, true);
    client.write(ASK);
    await client.waitFor(/\r\n\r\n$/);
    const [target] = origin.connections;
    assert.ok(target);
    return { client, target };
  }

  for (const who of ['client', 'target'] as const) {
    it(`is closed on both sides after silence when only the ${who} closed its half`, async () => {
      const { client, target } = await openTunnel();
      const [early, late] = who === 'client' ? [client.socket, target] : [target, client.socket];
      const closed = closeOf(early);

      const began = performance.now();
      early.end();
      await once(late, 'end');
      await closed;

      const tookMs = performance.now() - began;
      assert.ok(tookMs >= IDLE_MS - 50 && tookMs < IDLE_MS + LATE_MS, `${tookMs} ms`);
      await assertReset(late);
    });

    it(`stays as long as something comes over the half that is open, when the ${who} closed the other`, async () => {
      const { client, target } = await openTunnel();
      const [early, late] = who === 'client' ? [client.socket, target] : [target, client.socket];
      let received = '';
      early.on('data', (bytes: Buffer) => {
        received += bytes.toString('latin1');
      });

      early.end();
      await once(late, 'end');
      for (let count = 0; count < 12; count++) {
        await new Promise((resolve) => setTimeout(resolve, IDLE_MS / 4));
        late.write('.');
      }
      const closed = closeOf(early);
      late.end();
      await closed;

      assert.ok(received.endsWith('.'.repeat(12)), received);
    });
  }

  it('may be silent for as long as idleMs says from the switch on, however little time an answer had', async () => {
    const { client } = await openTunnel({ responseMs: 50, idleMs: 500 });

    const began = performance.now();
    await client.closed();

    assert.ok(performance.now() - began > 450);
  });

  describe('to a target over TLS', () => {
    let gateway: TestGateway;

    async function openSecureTunnel(isHalfOpen: boolean): Promise<RawClient> {
      const { chain, privateKey } = makeCertificate({ name: 'localhost', hosts: ['localhost'] });
      const server = createServer({ cert: chain, key: privateKey }, (socket) => {
        socket.on('error', () => undefined);
        socket.once('data', () => socket.end(`${SWITCH}bye`));
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      await stage.open(Promise.resolve({ close: async () => void server.close() }));
      const { port } = server.address() as AddressInfo;
      const upstream = makeUpstream({
        name: 'secure',
        protocol: 'https',
        targets: [{ host: '127.0.0.1', port, weight: 1 }],
        tls: { verify: false },
      });
      const timeouts = { connectMs: 2_000, responseMs: 2_000, idleMs: IDLE_MS };
      gateway = await stage.publish('', { upstreams: [upstream], api: { upstream: { name: 'secure' }, timeouts } });
      const client = await openRaw(gateway.port, isHalfOpen);
      client.write(ASK);
      return client;
    }

    it('ends in order when the target ends it in order', async () => {
      const client = await openSecureTunnel(false);

      const { text, hadReset } = await client.closed();

      assert.match(text, /\r\n\r\nbye$/);
      assert.equal(hadReset, false);
    });

    it('is closed after silence when the client never closes', async () => {
      const client = await openSecureTunnel(true);

      await once(client.socket, 'end');
      await gateway.drain();

      await assertReset(client.socket);
    });
  });

  describe('whose one side is done', () => {
    let upstream: HttpUpstreamClient;
    let call: UpstreamCall;
    let target: Socket;

    /** Stands for the client: hears the end of what the target says, and why it was given up. */
    async function openTargetSide(): Promise<{ tunnel: Tunnel; ended: Promise<void>; failed: Promise<Error> }> {
      const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
        target = socket;
        socket.on('error', () => undefined);
        socket.once('data', () => socket.write(SWITCH));
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const close = async (): Promise<void> => {
        target.destroy();
        server.close();
      };
      await stage.open(Promise.resolve({ close }));
      upstream = await stage.open(Promise.resolve(createUpstreamClient()));
      const { port } = server.address() as AddressInfo;
      const tunnel = await new Promise<Tunnel>((resolve, reject) => {
        call = upstream.send(
          { protocol: 'http', host: '127.0.0.1', port, connectMs: 2_000, tls: undefined },
          {
            method: 'GET',
            target: '/',
            headers: ['Host', 'h'],
            body: undefined,
            upgrade: 'chat',
            responseMs: 2_000,
            idleMs: IDLE_MS,
          },
          {
            onInformational: () => undefined,
            onUpgrade: (_, switched) => resolve(switched),
            onHead: () => undefined,
            onChunk: () => true,
            onEnd: () => undefined,
            onError: (_, cause) => reject(cause),
          },
        );
      });
      let tellEnd = (): void => undefined;
      let tellFailure = (_: Error): void => undefined;
      const ended = new Promise<void>((resolve) => {
        tellEnd = resolve;
      });
      const failed = new Promise<Error>((resolve) => {
        tellFailure = resolve;
      });
      tunnel.start({ write: () => true, end: () => tellEnd(), fail: (error) => tellFailure(error) });
      return { tunnel, ended, failed };
    }

    it('gives up a client that does not take the end of what the target said', async () => {
      const { tunnel, ended, failed } = await openTargetSide();
      const closed = closeOf(target);

      tunnel.end();
      target.end('last words');
      await Promise.all([ended, closed]);
      const began = performance.now();
      await failed;

      const tookMs = performance.now() - began;
      assert.ok(tookMs > IDLE_MS / 2 && tookMs < IDLE_MS + LATE_MS, `${tookMs} ms`);
    });

    it('writes what the client said to a target that reads late, though the client has gone', async () => {
      const { tunnel, ended } = await openTargetSide();
      target.pause();
      target.end();
      await ended;

      tunnel.write(Buffer.alloc(16 * MB, 'x'));
      tunnel.end();
      call.abort();
      let bytes = 0;
      target.on('data', (chunk) => {
        bytes += chunk.length;
      });
      target.resume();
      await closeOf(target);

      assert.equal(bytes, 16 * MB);
    });

    for (const what of ['does not read', 'goes on talking'] as const) {
      it(`does not wait for ever for a target that ${what} to a client that has gone`, async () => {
        const { tunnel, ended } = await openTargetSide();
        let talk: NodeJS.Timeout | undefined;
        if (what === 'goes on talking') talk = setInterval(() => target.write('still here'), 20);
        else {
          target.pause();
          target.end();
          await ended;
          tunnel.write(Buffer.alloc(16 * MB, 'x'));
        }
        tunnel.end();
        call.abort();

        const began = performance.now();
        await until(() => upstream.countConnections()['http/1.1'].used === 0);
        clearInterval(talk);

        const tookMs = performance.now() - began;
        assert.ok(tookMs > IDLE_MS / 2 && tookMs < IDLE_MS + LATE_MS, `${tookMs} ms`);
      });
    }
  });
});
