// Reading the name out of a ClientHello: however it is cut, and whatever is wrong with it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { connect } from 'node:tls';
import { type ClientHello, ClientHelloReader } from '../../../../gateway/http/tls/client-hello.ts';

/** Far more than a few thousand bytes take, far less than as many passes over them. */
const MAX_CPU_MICROS = 1_000_000;

/** Gives the first flight of node's own client. */
async function recordHello(servername: string, protocols: readonly string[] = []): Promise<Buffer> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = connect({ port, host: '127.0.0.1', servername, ALPNProtocols: [...protocols] });
  client.on('error', () => undefined);
  const [socket] = await once(server, 'connection');
  const [hello] = await once(socket, 'data');
  client.destroy();
  socket.destroy();
  server.close();
  return hello;
}

/** Cuts one record into many, each with so many bytes of the message. */
function cutRecords(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size);
    records.push(Buffer.from([0x16, 0x03, 0x01, part.length >> 8, part.length & 0xff]), part);
  }
  return Buffer.concat(records);
}

function read(...pieces: readonly Buffer[]): ClientHello {
  const reader = new ClientHelloReader();
  let last: ClientHello = { state: 'more' };
  for (const piece of pieces) last = reader.take(piece);
  return last;
}

describe('reading a ClientHello', () => {
  let hello: Buffer;
  let nameless: Buffer;

  before(async () => {
    hello = await recordHello('Mixed.Example');
    nameless = await recordHello('');
  });

  it('finds the name as it was sent, or none', () => {
    assert.deepEqual(read(hello), { state: 'done', name: 'Mixed.Example' });
    assert.deepEqual(read(nameless), { state: 'done', name: undefined });
  });

  it('waits for the rest wherever the bytes are cut', () => {
    for (let at = 1; at < hello.length; at++) {
      const reader = new ClientHelloReader();
      assert.equal(reader.take(hello.subarray(0, at)).state, 'more', `${at} bytes`);
      assert.deepEqual(reader.take(hello.subarray(at)), { state: 'done', name: 'Mixed.Example' });
      assert.deepEqual(reader.bytes, hello);
    }
  });

  it('joins records of any size', () => {
    for (const size of [1, 2, 3, 5, 16, 100]) {
      const records = cutRecords(hello, size);
      const bytes = Array.from(records, (byte) => Buffer.from([byte]));

      assert.deepEqual(read(records), { state: 'done', name: 'Mixed.Example' });
      assert.deepEqual(read(...bytes), { state: 'done', name: 'Mixed.Example' });
    }
  });

  // Begun anew with every byte it took 16 s.
  it('takes no longer for many records that come byte by byte', async () => {
    const protocols = Array.from({ length: 40 }, (_, index) => String(index).padStart(20, 'x'));
    const long = cutRecords(await recordHello('Mixed.Example', protocols), 1);
    const { user } = process.cpuUsage();

    const hello = read(...Array.from(long, (byte) => Buffer.from([byte])));

    assert.deepEqual(hello, { state: 'done', name: 'Mixed.Example' });
    assert.ok(process.cpuUsage().user - user < MAX_CPU_MICROS, `${long.length} bytes`);
  });

  it('tells what is no TLS', () => {
    assert.equal(read(Buffer.from('GET / HTTP/1.1\r\n')).state, 'plain');
    assert.equal(read(Buffer.from([0x80, 0x2e, 0x01])).state, 'plain');
  });

  it('refuses what OpenSSL could read otherwise', () => {
    const at = hello.indexOf('Mixed.Example');
    const change = (edit: (bytes: Buffer) => void): ClientHello => {
      const bytes = Buffer.from(hello);
      edit(bytes);
      return read(bytes);
    };
    const cases: readonly (readonly [string, ClientHello])[] = [
      ['NUL in the name', change((bytes) => bytes.fill(0, at, at + 1))],
      ['a space in the name', change((bytes) => bytes.fill(0x20, at, at + 1))],
      ['a list longer than its extension', change((bytes) => bytes.writeUInt16BE(200, at - 5))],
      ['a name longer than its list', change((bytes) => bytes.writeUInt16BE(200, at - 2))],
      ['a name of another kind', change((bytes) => bytes.writeUInt8(1, at - 3))],
      ['a session id that runs over the end', change((bytes) => bytes.writeUInt8(255, 5 + 4 + 34))],
      ['another message', change((bytes) => bytes.writeUInt8(2, 5))],
      ['an empty record', read(Buffer.from([0x16, 3, 1, 0, 0]))],
      ['a record of another version', read(Buffer.from([0x16, 2, 0, 0, 5]))],
      ['a message of 16 MiB', read(Buffer.from([0x16, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff]))],
      ['a record of another kind amid the message', read(cutRecords(hello, 20).fill(0x17, 25, 26))],
    ];

    for (const [what, result] of cases) assert.equal(result.state, 'bad', what);
  });
});
