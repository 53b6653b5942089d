// The admin service while its database is gone, frozen and back.
import assert from 'node:assert/strict';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { createDatabase, type TestDatabase } from '../support/product/database.ts';
import { startTestAdmin, type TestAdmin } from './support.ts';

/** Stands between the admin and Postgres; can vanish or fall silent, and come back on the same port. */
class Wire {
  readonly #target: URL;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #server: Server | undefined;
  #port = 0;
  #isFrozen = false;

  constructor(databaseUrl: string) {
    this.#target = new URL(databaseUrl);
  }

  async open(): Promise<void> {
    const server = createServer((near) => {
      const far = connect(Number(this.#target.port || 5432), this.#target.hostname);
      const pair = [near, far] as const;
      this.#pairs.add(pair);
      for (const socket of pair) {
        socket.on('error', () => undefined);
        socket.on('close', () => {
          for (const one of pair) one.destroy();
          this.#pairs.delete(pair);
        });
      }
      if (this.#isFrozen) return;
      near.pipe(far);
      far.pipe(near);
    });
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** Lets new connections through; those held stay held. */
  thaw(): void {
    this.#isFrozen = false;
  }

  get url(): string {
    const url = new URL(this.#target);
    url.host = `127.0.0.1:${this.#port}`;
    return url.href;
  }

  /** Breaks every connection and takes no new one. */
  async cut(): Promise<void> {
    const closed = new Promise((resolve) => this.#server?.close(resolve));
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
    await closed;
  }

  /** Holds every byte, as a host does that was paused: connections stay open, and new ones open but say nothing. */
  freeze(): void {
    this.#isFrozen = true;
    for (const [near, far] of this.#pairs) {
      near.unpipe(far).pause();
      far.unpipe(near).pause();
    }
  }
}

describe('admin without its database', () => {
  let admin: TestAdmin;
  let database: TestDatabase;
  let wire: Wire;

  beforeEach(async () => {
    database = await createDatabase();
    wire = new Wire(database.url);
    await wire.open();
    admin = await startTestAdmin({ database, databaseUrl: wire.url });
    await admin.expect(201, 'PUT', '/v1/apis/one', { body: { upstream: 'http://127.0.0.1:9000' } });
  });

  afterEach(async () => {
    await admin.close();
    await wire.cut();
    await database.drop();
  });

  const CALLS = [
    ['GET', '/v1/apis', undefined],
    ['GET', '/v1/config', undefined],
    ['PUT', '/v1/apis/two', { upstream: 'http://127.0.0.1:9000' }],
    ['DELETE', '/v1/apis/one', undefined],
    ['GET', '/v1/nodes', undefined],
  ] as const;

  async function assertUnavailable(): Promise<void> {
    const started = performance.now();
    const replies = await Promise.all(CALLS.map(([method, path, body]) => admin.call(method, path, { body })));

    assert.ok(performance.now() - started < 4000, 'it takes too long to say no');
    for (const reply of replies) {
      assert.equal(reply.status, 503, reply.text);
      assert.equal(reply.body['code'], 'DATABASE_UNAVAILABLE');
      assert.equal(reply.headers.get('retry-after'), '1');
    }
    await admin.expect(200, 'GET', '/livez');
  }

  it('answers 503 with Retry-After while connections are refused, and works at once when they are taken again', async () => {
    await wire.cut();
    await assertUnavailable();

    await wire.open();

    await admin.expect(200, 'GET', '/v1/apis/one');
    await admin.expect(201, 'PUT', '/v1/apis/three', { body: { upstream: 'http://127.0.0.1:9000' } });
  });

  it('answers 503 while the database is silent, and never lends out a connection that owes an answer', async () => {
    wire.freeze();
    await assertUnavailable();
    wire.thaw();

    await admin.expect(200, 'GET', '/v1/apis/one');
    await admin.expect(201, 'PUT', '/v1/apis/four', { body: { upstream: 'http://127.0.0.1:9000' } });
  });
});
