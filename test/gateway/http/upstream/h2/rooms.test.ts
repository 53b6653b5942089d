// How many requests a connection to a target takes, before the target said so, after it refused one, and when it is old.
// Must not test what becomes of connections that fail: reopening.test.ts does.
import assert from 'node:assert/strict';
import { mock } from 'node:test';
import { until } from '../../../../support/until.ts';
import { FRAME, frame, headersFrame, packNumber } from '../../../../support/wire/h2-frames.ts';
import { type H2Origin, startH2Origin } from '../../../../support/wire/h2-origin.ts';
import { type Caller, createCaller, OK, startFrames } from './caller.ts';

/** Refuses a stream without having looked at it. */
const REFUSED = packNumber(7);
/** Is a little more than a connection takes requests. */
const AGE_MS = 601_000;

describe('HTTP/2 upstream client, room', () => {
  let caller: Caller;
  let held: (() => void)[];

  beforeEach(() => {
    caller = createCaller();
    held = [];
  });
  afterEach(() => caller.close());

  /** Starts an origin whose answers wait in `held`. */
  function startHolding(maxConcurrentStreams: number): Promise<H2Origin> {
    return startH2Origin((stream) => held.push(() => stream.respond({ ':status': 200 }, { endStream: true })), {
      settings: { maxConcurrentStreams },
    });
  }

  it('sends a burst over as many new connections as it needs, and nothing that the target would refuse', async () => {
    const origin = await startHolding(10);
    const address = caller.addressOf(origin);

    const outcomes = Array.from({ length: 60 }, () => caller.send(address, { method: 'POST', body: Buffer.from('x') }));
    await until(() => held.length === 60);

    assert.equal(origin.sessions.size, 6);
    for (const release of held) release();
    for (const { end } of await Promise.all(outcomes)) assert.equal(end, 'done');
  });

  it('lets wait what finds no room on all the connections there may be', async () => {
    const origin = await startHolding(1);
    const address = caller.addressOf(origin);

    const outcomes = Array.from({ length: 40 }, () => caller.send(address));
    await until(() => held.length === 16);
    let released = 0;
    for (; released < 40; released++) {
      await until(() => held.length > 0);
      held.shift()?.();
    }

    for (const { end } of await Promise.all(outcomes)) assert.equal(end, 'done');
    assert.equal(origin.seen.length, 40);
  });

  it('waits for room where a target takes fewer than it said, and sends again what it refused', async () => {
    const open = new Set<unknown>();
    let refused = 0;
    const origin = await startFrames(({ stream }, socket) => {
      if (open.has(socket)) {
        refused++;
        socket.write(frame(FRAME.reset, 0, stream, REFUSED));
        return;
      }
      open.add(socket);
      setImmediate(() => {
        open.delete(socket);
        socket.write(headersFrame(stream, OK));
      });
    });
    const address = caller.addressOf(origin);

    const outcomes = await Promise.all(Array.from({ length: 60 }, () => caller.send(address, { method: 'POST' })));

    for (const { end } of outcomes) assert.equal(end, 'done');
    assert.ok(refused > 0);
  });

  it('does not blame a target that refuses all, and asks it twice', async () => {
    let asked = 0;
    const origin = await startFrames(({ stream }, socket) => {
      asked++;
      socket.write(frame(FRAME.reset, 0, stream, REFUSED));
    });

    const { end } = await caller.send(caller.addressOf(origin), { method: 'POST' });

    assert.equal(end, 'refused');
    assert.equal(asked, 2);
  });

  describe('on connections that are too old', () => {
    let skewMs: number;
    let pings: number;

    beforeEach(() => {
      const now = performance.now.bind(performance);
      skewMs = 0;
      pings = 0;
      mock.method(performance, 'now', () => now() + skewMs);
    });
    afterEach(() => mock.restoreAll());

    /** Lets connections grow old, and waits until each was asked whether it lives: unanswered it would be closed next time. */
    async function grow(origin: H2Origin): Promise<void> {
      pings = 0;
      for (const session of origin.sessions) session.once('ping', () => pings++);
      skewMs += AGE_MS;
      await until(() => pings === origin.sessions.size);
    }

    it('is not taken from others by what they still carry', async () => {
      const origin = await startHolding(1);
      const address = caller.addressOf(origin, { connectMs: 1_000 });
      const patient = { idleMs: 1e9, responseMs: 1e9 };
      const outcomes = Array.from({ length: 16 }, () => caller.send(address, patient));
      await until(() => held.length === 16);
      await grow(origin);

      outcomes.push(caller.send(address, patient));
      await until(() => held.length === 17);

      assert.equal(origin.sessions.size, 17);
      for (const release of held) release();
      for (const { end } of await Promise.all(outcomes)) assert.equal(end, 'done');
    });

    it('is taken again rather than on ever more of them', async () => {
      const origin = await startHolding(2);
      const address = caller.addressOf(origin, { connectMs: 1_000 });
      const patient = { idleMs: 1e9, responseMs: 1e9 };
      const outcomes = [caller.send(address, patient)];
      for (let count = 1; count <= 64; count++) {
        await until(() => held.length === count);
        await grow(origin);
        outcomes.push(caller.send(address, patient));
      }
      await until(() => held.length === 65);

      assert.equal(origin.sessions.size, 64);
      for (const release of held) release();
      for (const { end } of await Promise.all(outcomes)) assert.equal(end, 'done');
    });
  });
});
