// One side of an upgraded connection, over a real socket whose peer does not read.
// Must not test the pipeline: upgrade.test.ts does.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { breakSocket } from '../../../../gateway/http/socket/break-socket.ts';
import { SocketTunnel } from '../../../../gateway/http/socket/socket-tunnel.ts';

const MB = 1024 * 1024;

describe('a socket whose peer does not read', () => {
  let server: Server;
  let socket: Socket;
  let peer: Socket;

  beforeEach(async () => {
    server = createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    peer = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
    peer.pause();
    [socket] = (await once(server, 'connection')) as [Socket];
    socket.on('error', () => undefined);
    socket.write(Buffer.alloc(16 * MB));
  });

  afterEach(async () => {
    peer.destroy();
    socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  async function readAll(): Promise<{ readonly bytes: number; readonly error: string | undefined }> {
    let bytes = 0;
    let error: string | undefined;
    peer.on('data', (chunk) => {
      bytes += chunk.length;
    });
    peer.on('error', ({ message }) => {
      error = message;
    });
    // A reset right behind bytes looks like an end; to write nothing tells.
    peer.on('end', () => peer.write('', () => peer.end()));
    peer.resume();
    await new Promise((resolve) => peer.once('close', resolve));
    return { bytes, error };
  }

  it('is closed when it is broken while its end is under way', async () => {
    socket.end();

    const closed = once(socket, 'close');
    breakSocket(socket);

    await closed;
  });

  it('shows its peer a reset, never an end, when its tunnel breaks behind our half', async () => {
    const tunnel = new SocketTunnel(socket, { onActivity: () => undefined });
    tunnel.end();
    await new Promise((resolve) => setImmediate(resolve));

    const closed = once(socket, 'close');
    tunnel.abort();
    await closed;
    const { bytes, error } = await readAll();

    assert.ok(bytes < 16 * MB);
    assert.match(error ?? '', /ECONNRESET|EPIPE/);
  });

  it('gets everything, then the end, when its tunnel ends', async () => {
    const tunnel = new SocketTunnel(socket, { onActivity: () => undefined });
    tunnel.end();

    const { bytes, error } = await readAll();

    assert.deepEqual({ bytes, error }, { bytes: 16 * MB, error: undefined });
  });
});
