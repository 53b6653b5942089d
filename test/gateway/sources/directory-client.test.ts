// Plays keeper and worker of one node over plain data, as processes do.
// Must not test what the keeper knows: that is directory.test.ts.
import assert from 'node:assert/strict';
import type { Change, Update } from '../../../gateway/core/model.ts';
import { createDirectoryClient, type DirectoryClient } from '../../../gateway/sources/directory/client.ts';
import { createDirectory, type Directory } from '../../../gateway/sources/directory/directory.ts';
import { fakeClock } from '../../../gateway/testing/clock.ts';
import { silentLog } from '../../support/product/database.ts';
import { makeConsumer, makeCredential, remove, write } from '../../support/product/publish.ts';
import { FakeReader, settle } from './directory-fixture.ts';

describe("a worker's credentials directory", () => {
  const alice = makeConsumer('alice', { groups: ['gold'] });
  const key = makeCredential(alice, 'alice-key');
  let reader: FakeReader;

  beforeEach(() => {
    reader = new FakeReader();
  });

  const reset = (): Update => ({ revision: reader.revision, isReset: true, changes: [] });
  const delta = (...changes: readonly Change[]): Update => ({ revision: ++reader.revision, isReset: false, changes });

  /** Joins a worker to a directory as processes do: JSON, one turn of the loop later, in order. */
  function joinWorker(): {
    directory: Directory;
    client: DirectoryClient;
    questions: number[];
  } {
    const questions: number[] = [];
    const client: DirectoryClient = createDirectoryClient({
      clock: fakeClock(),
      send: (message) => {
        questions.push(message.asks.length);
        setImmediate(() => directory.onMessage(1, JSON.parse(JSON.stringify(message))));
      },
    });
    const directory = createDirectory({
      reader,
      openSecret: (sealed) => sealed,
      log: silentLog,
      clock: fakeClock(),
      send: (_, message) => {
        setImmediate(() => client.onMessage(JSON.parse(JSON.stringify(message))));
      },
    });
    void directory.apply(reset());
    directory.setConnected(true);
    return { directory, client, questions };
  }

  it('answers the second time without a promise', async () => {
    reader.add(alice, key);
    const { client } = joinWorker();
    await settle();

    const first = client.findByCredential('key-auth', 'alice-key');
    await first;
    const second = client.findByCredential('key-auth', 'alice-key');

    assert.ok(first instanceof Promise);
    assert.deepEqual(second, { consumer: alice, credential: key });
  });

  it('asks once for many requests, and in one message for many credentials', async () => {
    const { client, questions } = joinWorker();
    await settle();

    const lookups = ['a', 'b', 'a', 'c', 'b'];
    const found = await Promise.all(lookups.map((lookup) => client.findByCredential('key-auth', lookup)));

    assert.deepEqual(questions, [3]);
    assert.deepEqual(found, [undefined, undefined, undefined, undefined, undefined]);
  });

  it('stops knowing a revoked credential, a changed consumer and an absence with the revision', async () => {
    const second = makeCredential(alice, 'second-key');
    reader.add(alice, key, second);
    const { directory, client } = joinWorker();
    await settle();
    for (const lookup of ['alice-key', 'second-key', 'late-key']) await client.findByCredential('key-auth', lookup);

    const late = makeCredential(alice, 'late-key');
    void directory.apply(
      delta(remove('credential', key), write('consumer', { ...alice, groups: [] }), write('credential', late)),
    );
    await settle();

    assert.equal(await client.findByCredential('key-auth', 'alice-key'), undefined);
    assert.deepEqual((await client.findByCredential('key-auth', 'second-key'))?.consumer.groups, []);
    assert.equal((await client.findByCredential('key-auth', 'late-key'))?.credential.id, late.id);
  });

  it('forgets all on a reset', async () => {
    reader.add(alice, key);
    const { directory, client } = joinWorker();
    await settle();
    await client.findByCredential('key-auth', 'alice-key');
    reader.credentials.clear();

    void directory.apply(reset());
    await settle();

    assert.equal(await client.findByCredential('key-auth', 'alice-key'), undefined);
  });

  it('answers 503 with Retry-After for the unknown, and the known at once, while the database is away', async () => {
    reader.add(alice, key);
    const { directory, client } = joinWorker();
    await settle();
    await client.findByCredential('key-auth', 'alice-key');
    directory.setConnected(false);

    await assert.rejects(async () => client.findByCredential('key-auth', 'nobody'), {
      code: 'CANNOT_VERIFY',
      status: 503,
      headers: { 'retry-after': '1' },
    });
    assert.deepEqual(client.findByCredential('key-auth', 'alice-key'), { consumer: alice, credential: key });
  });

  it('answers 503 when the keeper does not answer', async () => {
    const client = createDirectoryClient({ send: () => undefined, clock: fakeClock(), timeoutMs: 5 });
    // The client's own timer does not keep a process alive, and a test must not end for want of one.
    const alive = setInterval(() => undefined, 1_000);

    await assert.rejects(async () => client.findByCredential('key-auth', 'x'), { code: 'CANNOT_VERIFY' });
    clearInterval(alive);
  });

  it('looks up nothing that no credential could be named', () => {
    const { client, questions } = joinWorker();

    assert.equal(client.findByCredential('jwt', 'x'.repeat(2_000)), undefined);
    assert.deepEqual(questions, []);
  });

  it('answers who waits when it is closed', async () => {
    const { client } = joinWorker();
    const waiting = client.findByCredential('key-auth', 'x');

    client.close();

    await assert.rejects(async () => waiting, { code: 'CANNOT_VERIFY' });
    assert.throws(() => client.findByCredential('key-auth', 'y'), { code: 'CANNOT_VERIFY' });
  });
});
