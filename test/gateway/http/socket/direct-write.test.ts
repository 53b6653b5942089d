// Text that passes by the stream of its socket: whole, whether the system takes it at once or not, and by whatever way.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import type { writeText as WriteText } from '../../../../gateway/http/socket/direct-write.ts';

/** More than the system takes for a peer that does not read. */
const BIG = 'x'.repeat(16 * 1024 * 1024);

interface End {
  readonly socket: Socket;
  readonly far: Socket;
}

/** Loads the module anew: what it has learnt of Node is the process's else. */
async function load(): Promise<typeof WriteText> {
  const url = new URL('../../../../gateway/http/socket/direct-write.js', import.meta.url);
  url.search = `fresh=${Math.random()}`;
  return (await import(url.href)).writeText;
}

interface TextHandle {
  writeLatin1String(request: { getAsyncId(): number }, text: string): number;
}

function hideInnerFields(socket: Socket): void {
  const { _handle: handle } = socket as Socket & { readonly _handle?: object };
  assert.ok(handle);
  Object.defineProperty(handle, 'writeQueueSize', { value: undefined });
}

describe('writeText', () => {
  let server: Server;
  let writeText: typeof WriteText;
  const sockets: Socket[] = [];

  before(async () => {
    server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  beforeEach(async () => {
    writeText = await load();
  });

  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
  });

  after(() => {
    server.close();
  });

  async function open(): Promise<End> {
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const far = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
    const [socket] = await accepted;
    sockets.push(socket, far);
    return { socket, far };
  }

  function unexpected(): void {
    assert.fail('it was taken at once');
  }

  for (const [how, prepare] of [
    ['by the inner fields', () => undefined],
    ['where Node has none of them', hideInnerFields],
  ] as const) {
    it(`says of each text whether the system has it, ${how}`, async () => {
      const { socket, far } = await open();
      prepare(socket);

      const early = ['a', 'b\xff', 'c'].map((part) => writeText(socket, part, unexpected));
      const [, isWhole] = await new Promise<[unknown, boolean]>((resolve) => {
        const whole = writeText(socket, BIG, (error) => resolve([error, whole]));
        far.resume();
      });
      const late = writeText(socket, 'd', unexpected);
      const received = text(far.setEncoding('latin1'));
      socket.end();

      assert.deepEqual([early, isWhole, late], [[true, true, true], false, true]);
      assert.ok((await received).endsWith('d'));
      assert.equal(socket.bytesWritten, 'ab\xffcd'.length + BIG.length);
    });

    it(`gives the error of a connection that was reset, ${how}`, async () => {
      const { socket, far } = await open();
      prepare(socket);
      writeText(socket, 'a', unexpected);
      far.resetAndDestroy();
      await once(far, 'close');

      // The system knows of the reset, and Node does not yet.
      const error = await new Promise((resolve) => writeText(socket, 'b', resolve));

      assert.ok(error instanceof Error && 'code' in error, String(error));
      assert.ok(['EPIPE', 'ECONNRESET'].includes(String(error.code)), String(error.code));
    });
  }

  it('uses no request again that the system still holds, though nothing waits', async () => {
    const { socket, far } = await open();
    writeText(socket, 'a', unexpected);
    const { _handle: handle } = socket as Socket & { readonly _handle?: TextHandle };
    assert.ok(handle);
    const write = handle.writeLatin1String.bind(handle);
    const used: object[] = [];
    // So it is when there was no room at first, and a moment later there was.
    handle.writeLatin1String = (request, part) => {
      used.push(request);
      request.getAsyncId = () => 7;
      return write(request, part);
    };

    const taken = ['b', 'c', 'd'].map((part) => writeText(socket, part, unexpected));
    socket.end();

    assert.deepEqual(taken, [true, true, true]);
    assert.equal(new Set(used).size, 3);
    assert.equal(await text(far), 'abcd');
  });

  it('keeps the writes of several sockets apart that wait', async () => {
    const ends = [await open(), await open(), await open()];
    const names = ['1', '2', '3'];
    const taken: string[] = [];
    for (const { socket } of ends) writeText(socket, 'first', unexpected);
    const all = new Promise<void>((resolve) => {
      ends.forEach(({ socket }, index) => {
        writeText(socket, BIG + names[index], () => {
          taken.push(names[index] ?? '');
          if (taken.length === ends.length) resolve();
        });
      });
    });

    const received = ends.map(({ far }) => text(far.setEncoding('latin1')));
    await all;
    for (const { socket } of ends) socket.end();
    const texts = await Promise.all(received);

    assert.deepEqual(taken.sort(), names);
    assert.deepEqual(
      texts.map((sent) => [sent.length, sent.at(-1)]),
      names.map((name) => ['first'.length + BIG.length + 1, name]),
    );
  });
});
