// Plays keeper and workers of one node over plain data, with a database that can be taken away.
// Must not need a real Postgres: that the reads are right is tested with the source.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Change, Consumer, Credential, Update } from '../../../gateway/core/model.ts';
import type { Identity } from '../../../gateway/core/plugin.ts';
import { createDirectoryClient, type DirectoryClient } from '../../../gateway/sources/directory/client.ts';
import {
  createDirectory,
  type Directory,
  type DirectoryOptions,
} from '../../../gateway/sources/directory/directory.ts';
import { openSecret, sealSecret } from '../../../gateway/sources/secrets.ts';
import { fakeClock } from '../../../gateway/testing/clock.ts';
import { silentLog } from '../../support/database.ts';
import { makeConsumer, makeCredential, remove, write } from '../../support/publish.ts';

const KEY = randomBytes(32);

/** Is the database as the directory reads it, in the test's hand. */
class FakeReader {
  revision = 1;
  isUp = true;
  asked: string[] = [];
  readonly consumers = new Map<string, Consumer>();
  readonly credentials = new Map<string, Credential>();
  /** Runs between the read and its answer. */
  meanwhile: () => void = () => undefined;

  add(consumer: Consumer, ...credentials: readonly Credential[]): Change[] {
    this.consumers.set(consumer.id, consumer);
    for (const credential of credentials) this.credentials.set(credential.id, credential);
    return [write('consumer', consumer), ...credentials.map((each) => write('credential', each))];
  }

  readonly findCredential: DirectoryOptions['reader']['findCredential'] = async (type, lookup) => {
    if (!this.isUp) throw new Error('down');
    this.asked.push(lookup);
    const credential = [...this.credentials.values()].find((each) => each.type === type && each.lookup === lookup);
    const consumer = credential && this.consumers.get(credential.consumerId);
    this.meanwhile();
    return credential && consumer ? { credential, consumer } : undefined;
  };

  readonly readIdentities: DirectoryOptions['reader']['readIdentities'] = async (sink) => {
    if (!this.isUp) throw new Error('down');
    if (!sink.begin(this.revision, this.credentials.size)) return false;
    sink.take([...this.consumers.values()].map((each) => write('consumer', each)));
    sink.take([...this.credentials.values()].map((each) => write('credential', each)));
    this.meanwhile();
    return true;
  };
}

describe('credentials directory', () => {
  const alice = makeConsumer('alice', { groups: ['gold'] });
  const key = makeCredential(alice, 'alice-key');
  let reader: FakeReader;
  let folder: string;
  let open: Directory[];

  beforeEach(async () => {
    reader = new FakeReader();
    folder = await mkdtemp(join(tmpdir(), 'sallyport-directory-'));
    open = [];
  });

  afterEach(async () => {
    await Promise.all(open.map((directory) => directory.close()));
    await rm(folder, { recursive: true, force: true });
  });

  function create(options: Partial<DirectoryOptions> = {}): Directory {
    const directory = createDirectory({
      reader,
      openSecret: (sealed) => openSecret(KEY, sealed),
      path: join(folder, 'credentials'),
      log: silentLog,
      clock: fakeClock(),
      send: () => undefined,
      ...options,
    });
    open.push(directory);
    return directory;
  }

  const reset = (): Update => ({ revision: reader.revision, isReset: true, changes: [] });
  const delta = (...changes: readonly Change[]): Update => ({ revision: ++reader.revision, isReset: false, changes });

  /** Gives a directory that is in contact and knows all that the reader has. */
  async function connect(options: Partial<DirectoryOptions> = {}): Promise<Directory> {
    const directory = create(options);
    directory.apply(reset());
    directory.setConnected(true);
    await settle();
    return directory;
  }

  it('knows every credential in advance, and that there is no other', async () => {
    reader.add(alice, key);
    const directory = await connect();

    const found = await directory.find('key-auth', 'alice-key');
    const missing = await directory.find('key-auth', 'nobody');
    const otherType = await directory.find('jwt', 'alice-key');

    assert.deepEqual(found, { consumer: alice, credential: key });
    assert.deepEqual([missing, otherType], ['absent', 'absent']);
    assert.deepEqual(reader.asked, []);
  });

  it('serves the known and calls nobody absent while the database is away', async () => {
    reader.add(alice, key);
    const directory = await connect();

    directory.setConnected(false);

    assert.deepEqual(await directory.find('key-auth', 'alice-key'), { consumer: alice, credential: key });
    assert.equal(await directory.find('key-auth', 'nobody'), 'unavailable');
  });

  it('follows changes exactly', async () => {
    const bob = makeConsumer('bob');
    const bobsKey = makeCredential(bob, 'bob-key');
    reader.add(alice, key);
    reader.add(bob, bobsKey);
    const directory = await connect();
    const find = (lookup: string): Promise<unknown> => directory.find('key-auth', lookup);

    directory.apply(delta(write('consumer', { ...alice, groups: ['silver'] })));
    const regrouped = (await find('alice-key')) as Identity;
    directory.apply(
      delta(
        write('credential', { ...key, lookup: 'bob-key' }),
        write('credential', { ...bobsKey, lookup: 'alice-key' }),
      ),
    );
    const swapped = [(await find('alice-key')) as Identity, (await find('bob-key')) as Identity];
    directory.apply(delta(remove('credential', key)));
    const revoked = await find('bob-key');
    directory.apply(delta(remove('consumer', bob)));
    const orphaned = await find('alice-key');
    directory.apply(delta(write('credential', makeCredential(alice, 'new-key'))));
    const added = (await find('new-key')) as Identity;

    assert.deepEqual(regrouped.consumer.groups, ['silver']);
    assert.deepEqual(
      swapped.map(({ consumer }) => consumer.username),
      ['bob', 'alice'],
    );
    assert.deepEqual([revoked, orphaned], ['absent', 'absent']);
    assert.deepEqual(added.consumer.groups, ['silver']);
  });

  it('misses no change that comes while all is read', async () => {
    reader.add(alice, key);
    const directory = create();
    reader.meanwhile = () => {
      reader.meanwhile = () => undefined;
      directory.apply(delta(remove('credential', key)));
    };
    directory.apply(reset());
    directory.setConnected(true);
    await settle();

    assert.equal(await directory.find('key-auth', 'alice-key'), 'absent');
  });

  it('reads all anew after a reset', async () => {
    reader.add(alice, key);
    const directory = await connect();
    reader.credentials.clear();

    directory.apply(reset());
    const during = await directory.find('key-auth', 'alice-key');
    await settle();

    assert.equal(during, 'absent');
    assert.equal(await directory.find('key-auth', 'alice-key'), 'absent');
  });

  it('opens sealed secrets in its answers, and calls one that does not open unavailable', async () => {
    const good = makeCredential(alice, 'good', {
      type: 'jwt',
      data: { algorithm: 'HS256', secret: sealSecret(KEY, 'geheim') },
    });
    const bad = makeCredential(alice, 'bad', { type: 'jwt', data: { secret: sealSecret(randomBytes(32), 'geheim') } });
    reader.add(alice, good, bad);
    const directory = await connect();

    const found = (await directory.find('jwt', 'good')) as Identity;

    assert.deepEqual(found.credential.data, { algorithm: 'HS256', secret: 'geheim' });
    assert.equal(await directory.find('jwt', 'bad'), 'unavailable');
  });

  it('serves from disk after a restart without the database, with secrets sealed on disk', async () => {
    const secret = 'do-not-write-me-down';
    const token = makeCredential(alice, 'issuer', { type: 'jwt', data: { secret: sealSecret(KEY, secret) } });
    reader.add(alice, key, token);
    const first = await connect();
    await first.find('jwt', 'issuer');
    await first.close();

    const second = create();
    await second.load();

    const found = (await second.find('jwt', 'issuer')) as Identity;
    assert.equal(found.credential.data['secret'], secret);
    assert.equal(await second.find('key-auth', 'nobody'), 'unavailable');
    assert.ok(!(await readFile(join(folder, 'credentials'), 'utf8')).includes(secret));
  });

  it('no longer believes its disk once the database has spoken', async () => {
    reader.add(alice, key);
    await (await connect()).close();
    reader.credentials.clear();
    const directory = create();
    await directory.load();

    directory.apply(reset());
    directory.setConnected(true);
    const during = await directory.find('key-auth', 'alice-key');
    await settle();
    directory.setConnected(false);

    assert.equal(during, 'absent');
    assert.equal(await directory.find('key-auth', 'alice-key'), 'unavailable');
  });

  describe('with more credentials than it may keep', () => {
    const many = Array.from({ length: 5 }, (_, n) => makeCredential(alice, `key-${n}`));

    it('asks for each once, and for a missing one once a second', async () => {
      reader.add(alice, ...many);
      const clock = fakeClock();
      const directory = await connect({ maxCredentials: 3, clock });
      const finds = (lookup: string): Promise<unknown[]> =>
        Promise.all([1, 2].map(() => directory.find('key-auth', lookup)));

      await finds('key-1');
      await finds('key-1');
      await finds('nobody');
      await finds('nobody');
      clock.advance(1_001);
      await finds('nobody');

      assert.deepEqual(reader.asked, ['key-1', 'nobody', 'nobody']);
    });

    it('forgets what was not used for longest', async () => {
      reader.add(alice, ...many);
      const directory = await connect({ maxCredentials: 3 });
      for (const lookup of ['key-0', 'key-1', 'key-2', 'key-0', 'key-3']) await directory.find('key-auth', lookup);
      reader.asked = [];

      for (const lookup of ['key-0', 'key-2', 'key-3', 'key-1']) await directory.find('key-auth', lookup);

      assert.deepEqual(reader.asked, ['key-1']);
    });

    it('does not keep what was revoked while it was being asked for', async () => {
      reader.add(alice, ...many);
      const directory = await connect({ maxCredentials: 3 });
      const [victim] = many;
      assert.ok(victim);
      reader.meanwhile = () => {
        reader.meanwhile = () => undefined;
        reader.credentials.delete(victim.id);
        directory.apply(delta(remove('credential', victim)));
      };

      const during = await directory.find('key-auth', 'key-0');

      assert.equal(during, 'absent');
      assert.equal(await directory.find('key-auth', 'key-0'), 'absent');
    });

    it('finds a credential that was missing as soon as it is made', async () => {
      reader.add(alice, ...many);
      const directory = await connect({ maxCredentials: 3 });
      const before = await directory.find('key-auth', 'late');
      const late = makeCredential(alice, 'late');
      reader.add(alice, late);

      directory.apply(delta(write('credential', late)));

      assert.equal(before, 'absent');
      assert.deepEqual(await directory.find('key-auth', 'late'), { consumer: alice, credential: late });
    });

    it('says unavailable when the database fails under it', async () => {
      reader.add(alice, ...many);
      const directory = await connect({ maxCredentials: 3 });
      await directory.find('key-auth', 'key-1');
      reader.isUp = false;

      assert.equal(await directory.find('key-auth', 'key-2'), 'unavailable');
      assert.notEqual(await directory.find('key-auth', 'key-1'), 'unavailable');
    });
  });

  it('goes over to asking when it outgrows its bound', async () => {
    const many = Array.from({ length: 4 }, (_, n) => makeCredential(alice, `key-${n}`));
    reader.add(alice, many[0] as Credential);
    const directory = await connect({ maxCredentials: 3 });

    directory.apply(delta(...reader.add(alice, ...many.slice(1))));
    const found = await Promise.all(many.map(({ lookup }) => directory.find('key-auth', lookup)));

    assert.ok(found.every((each) => typeof each === 'object'));
  });

  describe('over the wire to a worker', () => {
    /** Joins a worker to a directory as processes do: JSON, one turn of the loop later, in order. */
    function joinWorker(options: Partial<DirectoryOptions> & { clientTimeoutMs?: number } = {}): {
      directory: Directory;
      client: DirectoryClient;
      questions: number[];
    } {
      const questions: number[] = [];
      const { clientTimeoutMs = 5_000, ...rest } = options;
      const client: DirectoryClient = createDirectoryClient({
        clock: fakeClock(),
        timeoutMs: clientTimeoutMs,
        send: (message) => {
          questions.push(message.asks.length);
          setImmediate(() => directory.onMessage(1, JSON.parse(JSON.stringify(message))));
        },
      });
      const directory = create({
        send: (_, message) => {
          setImmediate(() => client.onMessage(JSON.parse(JSON.stringify(message))));
        },
        ...rest,
      });
      directory.apply(reset());
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
      directory.apply(
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

      directory.apply(reset());
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
});

/** Lets every message and every read that is under way arrive. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
