// Who is to blame when a connection is not open in time: the target, or the queue before it.
// Must not wait for time to pass: it waits for what becomes of each call.
import assert from 'node:assert/strict';
import { lookup } from 'node:dns';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { TargetAddress, UpstreamFailure, UpstreamRequest } from '../../../../gateway/core/ports.ts';
import { Deadlines } from '../../../../gateway/http/message/deadlines.ts';
import { Call } from '../../../../gateway/http/upstream/call.ts';
import { Connection } from '../../../../gateway/http/upstream/connection.ts';
import { Pool } from '../../../../gateway/http/upstream/pool.ts';

const CONNECT_MS = 200;
const REQUEST: UpstreamRequest = {
  ...{ method: 'GET', target: '/', headers: ['Host', 'h'], body: undefined },
  ...{ responseMs: 10_000, idleMs: 10_000, deadlineMs: undefined },
};

describe('a connection that is not open in time', () => {
  let silent: Server;
  let pool: Pool<Connection>;
  const deadlines = new Deadlines(1);
  const accepted = new Set<Socket>();

  beforeEach(async () => {
    // Takes connections, and never says a word of TLS.
    silent = createServer((socket) => accepted.add(socket.on('error', () => undefined)));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const address: TargetAddress = {
      protocol: 'https',
      host: '127.0.0.1',
      port,
      connectMs: CONNECT_MS,
      tls: undefined,
    };
    const open = (): Connection =>
      new Connection(address, lookup, {
        onIdle: (connection) => pool.giveBack(connection),
        onSent: (connection) => pool.sent(connection),
        onHanded: (connection) => pool.hand(connection),
        onClosed: (connection) => pool.drop(connection),
      });
    pool = new Pool(open, { maxConnections: 1, maxWaiting: 1 });
  });

  afterEach(async () => {
    pool.close();
    deadlines.close();
    for (const socket of accepted) socket.destroy();
    accepted.clear();
    await new Promise((resolve) => silent.close(resolve));
  });

  /** Sends a request, and gives what becomes of it. */
  function send(): Promise<UpstreamFailure> {
    return new Promise((resolve, reject) => {
      const handler = {
        onInformational: () => undefined,
        onUpgrade: () => undefined,
        onHead: () => undefined,
        onChunk: () => true,
        onEnd: () => reject(new Error('it was answered')),
        onError: (failure: UpstreamFailure) => resolve(failure),
      };
      pool.borrow(new Call({ request: REQUEST, handler, connectMs: CONNECT_MS, deadlines }));
    });
  }

  it('is the fault of the target that had the time to itself, and of none that had what a queue left of it', async () => {
    const first = send();
    const queued = send();

    assert.deepEqual([await first, await queued], ['connect-timeout', 'overloaded']);
  });
});
