// A guest that forges its messages, against the code that reads them.
// Must not start a process.
import assert from 'node:assert/strict';
import { Conversation, type Reply } from '../../../gateway/sandbox/conversation.ts';
import { applyEffects, findBlob } from '../../../gateway/sandbox/effects.ts';
import { buildGrants } from '../../../gateway/sandbox/grants.ts';
import { GuardedExchange } from '../../../gateway/sandbox/guard.ts';
import type { Frame } from '../../../gateway/sandbox/messages.ts';
import { FrameReader, writeFrame } from '../../../gateway/sandbox/process/framing.ts';
import { fakeExchange, fakeHost } from '../../../gateway/testing.ts';

interface Talk {
  readonly conversation: Conversation;
  readonly sent: Frame[];
  readonly faults: string[];
  say(message: unknown, ...blobs: Uint8Array[]): void;
  /** Waits until what is under way has been answered. */
  settled(): Promise<void>;
}

function startTalk(): Talk {
  const sent: Frame[] = [];
  const faults: string[] = [];
  const host = fakeHost();
  const conversation = new Conversation({
    send: (frame) => void sent.push(frame),
    findHost: (instance) => (instance === 1 ? host : undefined),
    onFault: (error) => void faults.push(error.message),
    onTrouble: () => undefined,
    onPong: () => undefined,
  });
  return {
    conversation,
    sent,
    faults,
    say: (message, ...blobs) => conversation.receive({ text: JSON.stringify(message), blobs }),
    settled: () => new Promise((resolve) => setImmediate(resolve)),
  };
}

async function ask({ conversation }: Talk, timeoutMs = 1_000): Promise<Reply> {
  return conversation.ask(['close', conversation.nextId(), 1], { timeoutMs });
}

describe('a conversation with a guest', () => {
  it('gives each answer to the message that it is for, in any order', async () => {
    const talk = startTalk();
    const [one, two] = [ask(talk), ask(talk)];

    talk.say(['done', 2, 'two', [], []]);
    talk.say(['done', 1, 'one', [], []]);

    assert.deepEqual([(await one).value, (await two).value], ['one', 'two']);
  });

  it('does nothing for answers that nobody waits for', async () => {
    const talk = startTalk();
    const answer = ask(talk);

    for (const id of [0, 2, -1, 1e9, 'x', null, {}, [1], '__proto__']) talk.say(['done', id, 'forged', [], []]);
    talk.say(['done', 1, 'real', [], []]);
    talk.say(['done', 1, 'twice', [], []]);

    assert.equal((await answer).value, 'real');
    assert.deepEqual(talk.faults, []);
  });

  it('does not take an answer that comes too late', async () => {
    const talk = startTalk();
    const answer = ask(talk, -1);

    talk.say(['done', 1, null, [], []]);

    await assert.rejects(answer, { name: 'GuestTimeout' });
  });

  it('calls nonsense a fault', () => {
    for (const text of [
      '',
      '{',
      'null',
      '1',
      '{}',
      '"done"',
      '[]',
      '["open",1,{}]',
      '["notes",1]',
      '["notes",[1]]',
      `${'['.repeat(5_000)}`,
    ]) {
      const talk = startTalk();

      talk.conversation.receive({ text, blobs: [] });

      assert.equal(talk.faults.length, 1, text);
    }
  });

  it('answers a call of no known name, for no set-up or for a hook that is over with an error', async () => {
    const calls = [
      ['call', 1, 1, 0, 'constructor', []],
      ['call', 2, 1, 0, '__proto__', []],
      ['call', 3, 99, 0, 'kvGet', ['a']],
      ['call', 4, '1', 0, 'kvGet', ['a']],
      ['call', 5, 1, 77, 'readBody', [1]],
      ['call', 6, 1, 0, 'kvGet', [{}]],
      ['call', 7, 1, 0, 'kvSet', ['a']],
      ['call', 8, 1, 0, 'fetch', [['https://a.test']]],
      ['call', 9, 1, 0, 'take', [{ name: 'a', windows: 'x' }, 'k']],
    ];
    const talk = startTalk();

    for (const call of calls) talk.say(call);
    await talk.settled();

    const answers = talk.sent.map(({ text }) => JSON.parse(text));
    assert.deepEqual(
      answers.map(([kind, , isGood]) => [kind, isGood]),
      calls.map(() => ['answer', false]),
    );
  });

  it('stops listening to one that talks without being asked', async () => {
    const talk = startTalk();

    for (let at = 0; at < 12_000 && talk.faults.length === 0; at++) talk.say(['call', at, 1, 0, 'kvGet', ['a']]);
    await talk.settled();

    assert.match(talk.faults[0] ?? '', /without being asked/);
    const good = talk.sent.filter(({ text }) => JSON.parse(text)[2] === true);
    assert.ok(good.length < 100, `${good.length} were served`);
  });

  it('ends what waits when the guest is gone, and takes no more', async () => {
    const talk = startTalk();
    const answer = ask(talk);

    talk.conversation.close('it fell');

    await assert.rejects(answer, /it fell/);
    await assert.rejects(ask(talk), /it fell/);
  });

  it('takes no more than so many at a time', async () => {
    const talk = startTalk();
    const answers = Array.from({ length: 1_024 }, () => ask(talk));

    await assert.rejects(ask(talk), /too many requests/);

    talk.conversation.close('over');
    assert.ok((await Promise.allSettled(answers)).every(({ status }) => status === 'rejected'));
  });
});

describe('effects of a guest', () => {
  const all = {
    request: { headers: 'write', path: 'write', query: 'write', body: 'write' },
    response: { headers: 'write' },
    respond: true,
    identify: true,
    consumers: 'read',
  } as const;

  it('are refused when they are none', () => {
    const forged: readonly unknown[] = [
      'x',
      {},
      [1],
      [[]],
      [['constructor']],
      [['set', 'request', 'x-a']],
      [['set', 'request', {}, 'b']],
      [['set', 'response', 'x-a', 'b']],
      [['set', '__proto__', 'x-a', 'b']],
      [['set', 'request', 'x-a', 'b\r\nx-evil: 1']],
      [['append', 'request', 'bad name', 'b']],
      [['path', '/a/../b']],
      [['path', ['/a']]],
      [['query', 'a b']],
      [['id', 'a b']],
      [['status', 200]],
      [['body', 0]],
      [['body', -1]],
      [['body', 'length']],
      [['identify', 0]],
      [['identify', { consumer: {} }]],
      [['respond', 99, {}, '']],
      [['respond', 200, null, '']],
      [['respond', 200, { a: 1 }, '']],
      [['respond', 200, { 'a\n': 'b' }, '']],
      [['respond', 200, {}, 7]],
    ];
    for (const effects of forged) {
      const exchange = fakeExchange();
      const guarded = new GuardedExchange(exchange, buildGrants(all, 'authenticate'));

      assert.throws(() => applyEffects(guarded, effects, []), JSON.stringify(effects));
      assert.deepEqual([exchange.answer, exchange.consumer, exchange.request.path], [undefined, undefined, '/']);
    }
  });

  it('find no bytes but those that came along', () => {
    for (const index of [-1, 1, 0.5, '0', 'length', null, undefined, {}]) {
      assert.throws(() => findBlob([new Uint8Array(1)], index), { name: 'ProtocolError' });
    }
  });
});

describe('frames', () => {
  const bounds = { maxTextBytes: 1_000, maxBlobBytes: 1_000 };
  const frames: readonly Frame[] = [
    { text: '[]', blobs: [] },
    { text: '["é😀"]', blobs: [new Uint8Array([1, 2, 3]), new Uint8Array(0)] },
    { text: '', blobs: [new Uint8Array(999)] },
  ];

  it('come out as they went in, however they are cut', () => {
    const bytes = Buffer.concat(frames.map(writeFrame));
    for (const size of [1, 2, 7, 8, 9, 64, bytes.length]) {
      const got: { text: string; blobs: number[][] }[] = [];
      const reader = new FrameReader(bounds, ({ text, blobs }) =>
        got.push({ text, blobs: blobs.map((one) => [...one]) }),
      );

      for (let at = 0; at < bytes.length; at += size) reader.feed(Buffer.from(bytes.subarray(at, at + size)));

      assert.deepEqual(
        got,
        frames.map(({ text, blobs }) => ({ text, blobs: blobs.map((one) => [...one]) })),
      );
    }
  });

  it('are refused as soon as they announce too much', () => {
    const head = (...numbers: number[]): Buffer => {
      const bytes = Buffer.alloc(4 * numbers.length);
      for (const [at, number] of numbers.entries()) bytes.writeUInt32LE(number, 4 * at);
      return bytes;
    };
    for (const bytes of [
      head(1_001, 0),
      head(0xffffffff, 0),
      head(0, 65),
      head(0, 0xffffffff),
      head(1, 2, 600, 600),
      head(1, 1, 0xffffffff),
    ]) {
      const reader = new FrameReader(bounds, () => assert.fail('no frame was whole'));

      assert.throws(() => reader.feed(bytes), RangeError);
    }
  });
});
