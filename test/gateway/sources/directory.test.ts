// Asks the keeper's directory, with a database that can be taken away.
// Must not need a real Postgres: that the reads are right is tested with the source.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Change, Credential, Update } from '../../../gateway/core/model.ts';
import type { Identity } from '../../../gateway/core/plugin.ts';
import {
  createDirectory,
  type Directory,
  type DirectoryOptions,
} from '../../../gateway/sources/directory/directory.ts';
import { openSecret, sealSecret } from '../../../gateway/sources/secrets.ts';
import { fakeClock } from '../../../gateway/testing/clock.ts';
import { silentLog } from '../../support/product/database.ts';
import { makeConsumer, makeCredential, remove, write } from '../../support/product/publish.ts';
import { until } from '../../support/until.ts';
import { FakeReader, settle } from './directory-fixture.ts';

const KEY = randomBytes(32);

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
    void directory.apply(reset());
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

    void directory.apply(delta(write('consumer', { ...alice, groups: ['silver'] })));
    const regrouped = (await find('alice-key')) as Identity;
    void directory.apply(
      delta(
        write('credential', { ...key, lookup: 'bob-key' }),
        write('credential', { ...bobsKey, lookup: 'alice-key' }),
      ),
    );
    const swapped = [(await find('alice-key')) as Identity, (await find('bob-key')) as Identity];
    void directory.apply(delta(remove('credential', key)));
    const revoked = await find('bob-key');
    void directory.apply(delta(remove('consumer', bob)));
    const orphaned = await find('alice-key');
    void directory.apply(delta(write('credential', makeCredential(alice, 'new-key'))));
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
      void directory.apply(delta(remove('credential', key)));
    };
    void directory.apply(reset());
    directory.setConnected(true);
    await settle();

    assert.equal(await directory.find('key-auth', 'alice-key'), 'absent');
  });

  it('reads all anew after a reset', async () => {
    reader.add(alice, key);
    const directory = await connect();
    reader.credentials.clear();

    void directory.apply(reset());
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

  it('has what changed on disk when it says so', async () => {
    const bob = makeConsumer('bob');
    reader.add(alice, key);
    reader.add(bob);
    const first = await connect();
    await until(() => existsSync(join(folder, 'credentials')));

    const changes = [remove('credential', key), write('credential', makeCredential(bob, 'bob-key'))];
    await first.apply({ revision: 2, isReset: false, changes });
    const second = create();
    await second.load();

    assert.equal(await second.find('key-auth', 'alice-key'), 'unavailable');
    assert.equal(((await second.find('key-auth', 'bob-key')) as Identity).consumer.username, 'bob');
  });

  it('no longer believes its disk once the database has spoken', async () => {
    reader.add(alice, key);
    await (await connect()).close();
    reader.credentials.clear();
    const directory = create();
    await directory.load();

    void directory.apply(reset());
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
        void directory.apply(delta(remove('credential', victim)));
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

      void directory.apply(delta(write('credential', late)));

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

    void directory.apply(delta(...reader.add(alice, ...many.slice(1))));
    const found = await Promise.all(many.map(({ lookup }) => directory.find('key-auth', lookup)));

    assert.ok(found.every((each) => typeof each === 'object'));
  });
});
