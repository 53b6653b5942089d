// Writes of one turn of the event loop that leave together at its end: in order, whole, and never later.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { flushLateWrites, writeHeadLate, writeLate } from '../../../../gateway/http/socket/late-writes.ts';

describe('writeLate', () => {
  let server: Server;
  const sockets: Socket[] = [];

  before(async () => {
    server = createServer({ allowHalfOpen: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
  });

  after(() => {
    server.close();
  });

  /** Opens a connection: the end that is written to, and what the other end got until it ended. */
  async function open(): Promise<{ readonly socket: Socket; readonly received: () => Promise<string> }> {
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const far = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
    const chunks: Buffer[] = [];
    far.on('data', (chunk) => chunks.push(chunk));
    const hasEnded = once(far, 'end');
    const [socket] = await accepted;
    sockets.push(socket, far);
    return {
      socket,
      async received() {
        socket.end();
        await hasEnded;
        return Buffer.concat(chunks).toString('latin1');
      },
    };
  }

  it('keeps a write until the end of the turn, and no longer', async () => {
    const { socket, received } = await open();

    writeLate(socket, 'late');
    const whileTurning = socket.bytesWritten - socket.writableLength;
    await nextTurn();

    assert.equal(whileTurning, 0);
    assert.equal(socket.writableCorked, 0);
    assert.equal(await received(), 'late');
  });

  it('keeps the order among late writes and others', async () => {
    const { socket, received } = await open();

    socket.write('a');
    writeLate(socket, 'b');
    socket.cork();
    socket.write('c');
    socket.write(Buffer.from('d'));
    socket.uncork();
    writeLate(socket, Buffer.from('e'));
    await nextTurn();
    writeLate(socket, 'f');

    assert.equal(await received(), 'abcdef');
  });

  it('writes more than a few at once, each whole', async () => {
    const ends = [];
    for (let index = 0; index < 100; index++) ends.push(await open());

    for (const [index, { socket }] of ends.entries()) writeLate(socket, `answer ${index}`);
    const early = ends.filter(({ socket }) => socket.writableCorked === 0).length;
    await nextTurn();

    assert.equal(early, 96, 'three times 32 did not wait for the end of the turn');
    const texts = await Promise.all(ends.map(({ received }) => received()));
    assert.deepEqual(
      texts,
      ends.map((_, index) => `answer ${index}`),
    );
  });

  it('has heads written once at the end of the turn, and at once when it is told to', async () => {
    const flushed: string[] = [];

    writeHeadLate({ flushHead: () => void flushed.push('first') });
    writeHeadLate({ flushHead: () => void flushed.push('second') });
    const whileTurning = [...flushed];
    // As after a cut, by which the end of the turn may be lost.
    flushLateWrites();
    writeHeadLate({ flushHead: () => void flushed.push('third') });
    await nextTurn();

    assert.deepEqual(whileTurning, []);
    assert.deepEqual(flushed, ['first', 'second', 'third']);
  });

  it('writes what waits at once when it is told to', async () => {
    const { socket, received } = await open();

    writeLate(socket, 'now');
    flushLateWrites();

    assert.equal(socket.writableCorked, 0);
    assert.equal(await received(), 'now');
  });

  it('lets what waits leave before the end of the connection', async () => {
    const { socket, received } = await open();

    writeLate(socket, 'last words');

    assert.equal(await received(), 'last words');
    await nextTurn();
  });

  it('says when it was written, and that it was not when the connection is broken first', async () => {
    const [whole, broken] = [await open(), await open()];
    const writing = ({ socket }: { readonly socket: Socket }): Promise<boolean> =>
      new Promise((resolve) => {
        writeLate(socket, 'x', (error) => resolve(!error));
      });

    const written = [writing(whole), writing(broken)];
    broken.socket.destroy();

    assert.deepEqual(await Promise.all(written), [true, false]);
    assert.equal(await whole.received(), 'x');
  });

  it('says when the writer should wait, and drains after that', async () => {
    const { socket, received } = await open();
    const drained = once(socket, 'drain');
    const big = Buffer.alloc(1024 * 1024, 'x');

    assert.equal(writeLate(socket, big), false);
    await drained;

    assert.equal((await received()).length, big.length);
  });
});
