// Whole messages that pass by the stream of their socket: in order, told of once, and never lost in silence.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { flushLateWrites } from '../../../../gateway/http/socket/late-writes.ts';
import { MessageWriter } from '../../../../gateway/http/socket/message-writer.ts';
import { takeUncaught } from '../../../support/uncaught.ts';

/** More than the system takes for a peer that does not read. */
const BIG = 'x'.repeat(16 * 1024 * 1024);

interface End {
  readonly socket: Socket;
  readonly far: Socket;
  /** What the writer said, in order. */
  readonly told: string[];
  readonly writer: MessageWriter;
}

describe('MessageWriter', () => {
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

  async function open(onWritten?: () => void): Promise<End> {
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const far = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
    const [socket] = await accepted;
    sockets.push(socket, far);
    const told: string[] = [];
    const writer = new MessageWriter(socket, {
      onWritten: () => {
        told.push('written');
        onWritten?.();
      },
      onStalled: () => void told.push('stalled'),
    });
    return { socket, far, told, writer };
  }

  async function read(far: Socket): Promise<string> {
    const chunks: Buffer[] = [];
    for await (const chunk of far) chunks.push(chunk);
    return Buffer.concat(chunks).toString('latin1');
  }

  it('keeps messages until the end of the turn, and tells of them when all are sent', async () => {
    const sentWhenTold: boolean[] = [];
    const second = await open();
    const first = await open(() => sentWhenTold.push(second.socket.bytesWritten === 'two'.length));

    first.writer.write('one');
    second.writer.write('two');
    const early = first.socket.bytesWritten + second.socket.bytesWritten;
    await nextTurn();

    assert.equal(early, 0);
    assert.deepEqual([first.told, second.told, sentWhenTold], [['written'], ['written'], [true]]);
    first.socket.end();
    assert.equal(await read(first.far), 'one');
  });

  it('sends what is written in one turn as one, before what is written behind it', async () => {
    const { socket, far, told, writer } = await open();

    writer.write('a');
    writer.write('b');
    await nextTurn();
    socket.write('c');
    socket.end();

    assert.equal(await read(far), 'abc');
    assert.deepEqual(told, ['written']);
  });

  it('writes more than a few at once, and tells of none before the end of the turn', async () => {
    const ends = [];
    for (let index = 0; index < 70; index++) ends.push(await open());

    for (const { writer } of ends) writer.write('answer');
    const sent = ends.filter(({ socket }) => socket.bytesWritten > 0).length;
    const told = ends.filter((end) => end.told.length > 0).length;
    await nextTurn();

    assert.deepEqual([sent, told], [64, 0]);
    assert.ok(ends.every((end) => end.told.join() === 'written'));
  });

  it('says that the peer does not take it, and later that it has', async () => {
    const { socket, far, told, writer } = await open();

    writer.write(BIG);
    await nextTurn();
    const whileWaiting = [...told];
    // Behind it, though the stream does not know of it.
    socket.write('end');
    socket.end();
    const text = await read(far);

    assert.deepEqual(whileWaiting, ['stalled']);
    assert.equal(text.length, BIG.length + 3);
    assert.ok(text.endsWith('end'));
    assert.deepEqual(told, ['stalled', 'written']);
  });

  it('leaves a stream alone in which something waits', async () => {
    const { socket, far, writer } = await open();

    const before = writer.isFree;
    socket.write(BIG);
    const whileWaiting = writer.isFree;
    far.resume();
    await once(socket, 'drain');

    assert.deepEqual([before, whileWaiting, writer.isFree], [true, false, true]);
  });

  it('says nothing of a connection that was closed before or after it was sent', async () => {
    const [early, late] = [await open(), await open()];

    early.writer.write('x');
    early.socket.destroy();
    late.writer.write(BIG);
    await nextTurn();
    late.socket.destroy();
    await once(late.socket, 'close');

    assert.deepEqual([early.told, late.told], [[], ['stalled']]);
  });

  it('destroys a socket that cannot be written to', async () => {
    const { socket, far, told, writer } = await open();
    const failed = once(socket, 'error') as Promise<[NodeJS.ErrnoException]>;
    far.resetAndDestroy();
    await once(far, 'close');

    writer.write('x');
    flushLateWrites();
    const [error] = await failed;

    assert.ok(['EPIPE', 'ECONNRESET'].includes(error.code ?? ''), error.code);
    assert.deepEqual(told, []);
  });

  it('tells the others when the first throws', async () => {
    const first = await open(() => {
      throw new Error('thrown');
    });
    const second = await open();
    const thrown = takeUncaught();

    first.writer.write('one');
    second.writer.write('two');
    const error = await thrown;
    await nextTurn();
    second.writer.write('three');
    await nextTurn();

    assert.equal(error.message, 'thrown');
    assert.deepEqual([first.told, second.told], [['written'], ['written', 'written']]);
    second.socket.end();
    assert.equal(await read(second.far), 'twothree');
  });

  it('tells of none that is not sent, also when the one told before it threw', async () => {
    const sent: number[] = [];
    const second = await open(() => sent.push(second.socket.bytesWritten));
    const first = await open(() => {
      second.writer.write('next');
      throw new Error('thrown');
    });
    const thrown = takeUncaught();

    first.writer.write('one');
    await thrown;
    await nextTurn();

    assert.deepEqual(sent, ['next'.length]);
  });
});
