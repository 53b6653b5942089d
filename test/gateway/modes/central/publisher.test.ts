// Facts about publishing: all workers swap together, or none does.
// Must not start a process: voters are plain objects here.
import assert from 'node:assert/strict';
import type { DocumentState } from '../../../../gateway/core/config.ts';
import type { Problem } from '../../../../gateway/core/errors.ts';
import type { Api, Change, Update } from '../../../../gateway/core/model.ts';
import {
  mergeUpdates,
  Publisher,
  type RevisionRefusal,
  type Vote,
  type Voter,
} from '../../../../gateway/modes/central/keeper/publisher.ts';

const PROBLEM: Problem = { pointer: '/bindings/1/config', code: 'INVALID', message: 'expected a limit' };

class FakeVoter implements Voter {
  readonly slot: number;
  readonly said: string[] = [];
  answer: Vote | Promise<Vote> = { isGone: false, problems: [] };
  changes: readonly Change[] = [];

  constructor(slot: number) {
    this.slot = slot;
  }

  async prepare(update: Update): Promise<Vote> {
    this.said.push(`prepare ${update.revision}`);
    this.changes = update.changes;
    return this.answer;
  }

  async commit(revision: number): Promise<void> {
    this.said.push(`commit ${revision}`);
  }

  discard(revision: number): void {
    this.said.push(`discard ${revision}`);
  }

  replace(reason: string): void {
    this.said.push(`replace: ${reason}`);
  }
}

interface Bench {
  readonly publisher: Publisher<FakeVoter>;
  readonly committed: DocumentState[];
  readonly refused: RevisionRefusal[];
  readonly joined: FakeVoter[];
  readonly voters: readonly FakeVoter[];
}

function openBench(size: number): Bench {
  const committed: DocumentState[] = [];
  const refused: RevisionRefusal[] = [];
  const joined: FakeVoter[] = [];
  const quiet = (): void => undefined;
  const publisher = new Publisher<FakeVoter>({
    clock: { wallMs: () => 0, monotonicMs: () => 0 },
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    onCommitted: (document) => committed.push(document),
    onRefused: (refusal) => refused.push(refusal),
    onJoined: (voter) => joined.push(voter),
  });
  const voters = Array.from({ length: size }, (_, index) => new FakeVoter(index + 1));
  for (const voter of voters) publisher.join(voter);
  publisher.open();
  return { publisher, committed, refused, joined, voters };
}

/** Lets the publisher come to rest; on a busy machine its work is cut into more slices than one. */
async function turn(): Promise<void> {
  for (let count = 0; count < 10; count++) await new Promise((resolve) => setImmediate(resolve));
}

function api(id: string, name = id): Change {
  return { kind: 'api', id, after: { id, name } as Api };
}

function update(revision: number, changes: readonly Change[], isReset = false): Update {
  return { revision, isReset, changes };
}

describe('publisher', () => {
  it('commits on every worker once all have prepared', async () => {
    const { publisher, committed, voters } = openBench(2);

    publisher.offer(update(1, [api('a')], true));
    await turn();

    for (const voter of voters) assert.deepEqual(voter.said, ['prepare 1', 'commit 1']);
    assert.equal(committed[0]?.revision, 1);
    assert.equal(publisher.document?.apis.size, 1);
  });

  it('commits nowhere when one worker refuses, and keeps what is in force', async () => {
    const { publisher, committed, refused, voters } = openBench(2);
    publisher.offer(update(1, [api('a')], true));
    await turn();
    const [first, second] = voters;
    if (second !== undefined) second.answer = { isGone: false, problems: [PROBLEM] };

    publisher.offer(update(2, [api('b')]));
    await turn();

    assert.deepEqual(first?.said.slice(2), ['prepare 2', 'discard 2']);
    assert.deepEqual(refused, [{ revision: 2, problems: [PROBLEM], at: '1970-01-01T00:00:00.000Z' }]);
    assert.equal(publisher.document?.revision, 1);
    assert.equal(publisher.offeredRevision, 2);
    assert.equal(committed.length, 1);
  });

  it('offers the changes of a refused revision again together with the next', async () => {
    const { publisher, voters } = openBench(1);
    const [voter] = voters;
    assert.ok(voter);
    voter.answer = { isGone: false, problems: [PROBLEM] };
    publisher.offer(update(1, [api('a'), api('b')], true));
    await turn();

    voter.answer = { isGone: false, problems: [] };
    publisher.offer(update(2, [api('b', 'mended')]));
    await turn();

    assert.deepEqual(voter.changes, [api('a'), api('b', 'mended')]);
    assert.deepEqual([...(publisher.document?.apis.keys() ?? [])], ['a', 'b']);
    assert.equal(publisher.refusal, undefined);
  });

  it('feeds a newcomer the document in force before anything else', async () => {
    const { publisher, joined } = openBench(1);
    publisher.offer(update(1, [api('a')], true));
    publisher.offer(update(2, [api('b')]));
    await turn();
    const newcomer = new FakeVoter(9);

    publisher.join(newcomer);
    await turn();

    assert.deepEqual(newcomer.said, ['prepare 2', 'commit 2']);
    assert.deepEqual(newcomer.changes, [api('a'), api('b')]);
    assert.ok(joined.includes(newcomer));
  });

  it('goes on with the others when a worker dies while it prepares', async () => {
    const { publisher, voters } = openBench(2);
    const [first, second] = voters;
    assert.ok(first);
    first.answer = { isGone: true };

    publisher.offer(update(1, [api('a')], true));
    await turn();

    assert.deepEqual(second?.said, ['prepare 1', 'commit 1']);
    assert.deepEqual(first.said, ['prepare 1']);
  });

  it('refuses a revision that has killed every worker twice', async () => {
    const { publisher, refused, voters } = openBench(1);
    publisher.offer(update(1, [api('a')], true));
    await turn();
    const dieOnPoison = async (voter: FakeVoter | undefined): Promise<void> => {
      assert.ok(voter);
      const prepare = voter.prepare.bind(voter);
      voter.prepare = (one) => (one.revision === 2 ? Promise.resolve({ isGone: true }) : prepare(one));
      publisher.join(voter);
      await turn();
    };
    await dieOnPoison(voters[0]);

    publisher.offer(update(2, [api('poison')]));
    await turn();
    await dieOnPoison(new FakeVoter(1));

    assert.deepEqual(
      refused.map(({ revision, problems }) => [revision, problems[0]?.code]),
      [[2, 'WORKER_DIED']],
    );
    assert.equal(publisher.document?.revision, 1);
  });

  it('ends a newcomer that refuses the document in force', async () => {
    const { publisher, joined } = openBench(1);
    publisher.offer(update(1, [api('a')], true));
    await turn();
    const newcomer = new FakeVoter(2);
    newcomer.answer = { isGone: false, problems: [PROBLEM] };

    publisher.join(newcomer);
    await turn();

    assert.match(newcomer.said.at(-1) ?? '', /^replace: it refused the revision in force/);
    assert.ok(!joined.includes(newcomer));
  });

  it('does not take in a newcomer that dies while it is fed', async () => {
    const { publisher, joined, committed } = openBench(1);
    publisher.offer(update(1, [api('a')], true));
    await turn();
    const newcomer = new FakeVoter(2);
    newcomer.commit = async () => publisher.leave(newcomer);

    publisher.join(newcomer);
    await turn();
    publisher.offer(update(2, [api('b')]));
    await turn();

    assert.ok(!joined.includes(newcomer));
    assert.deepEqual(newcomer.said, ['prepare 1']);
    assert.equal(committed.at(-1)?.revision, 2);
  });

  it('lets a worker join without a document when there is none', async () => {
    const { joined, voters } = openBench(2);

    await turn();

    assert.deepEqual(joined, voters);
  });
});

describe('mergeUpdates', () => {
  it('lets the later of two changes stand', () => {
    assert.deepEqual(mergeUpdates(update(1, [api('a'), api('b')]), update(2, [api('b', 'new')])), {
      revision: 2,
      isReset: false,
      changes: [api('a'), api('b', 'new')],
    });
  });

  it('forgets what came before a reset', () => {
    assert.deepEqual(mergeUpdates(update(1, [api('a')]), update(7, [api('c')], true)), update(7, [api('c')], true));
  });
});
