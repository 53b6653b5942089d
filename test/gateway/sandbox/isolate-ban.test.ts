// Facts about when isolates are off on a node.
// Must not wait: time is turned by hand.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { IsolateBan, type WorkerEnd } from '../../../gateway/sandbox/isolate/ban.ts';
import { SILENT } from './support.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const CRASH: WorkerEnd = { openIsolates: 1, signal: 'SIGSEGV', wasSilent: false };

interface Stage {
  readonly ban: IsolateBan;
  readonly changes: boolean[];
  nowMs: number;
  /** Turns time on, and rings what was to ring by then. */
  pass(ms: number): void;
}

function openStage(path?: string, startMs: number = 1_000_000): Stage {
  let bell: { readonly atMs: number; ring(): void } | undefined;
  const stage = { nowMs: startMs };
  const ban = new IsolateBan({
    ...(path && { path }),
    clock: { wallMs: () => stage.nowMs },
    log: SILENT,
    schedule(ring, delayMs) {
      bell = { atMs: stage.nowMs + delayMs, ring };
      return () => {
        bell = undefined;
      };
    },
  });
  const changes: boolean[] = [];
  ban.onChange(() => changes.push(ban.isOff));
  return Object.assign(stage, {
    ban,
    changes,
    pass(ms: number) {
      stage.nowMs += ms;
      if (bell && bell.atMs <= stage.nowMs) bell.ring();
    },
  });
}

describe('the ban of isolates', () => {
  it('turns them off for ten minutes when a worker dies by a fatal signal, and tells both changes', () => {
    for (const signal of ['SIGSEGV', 'SIGABRT', 'SIGTRAP', 'SIGILL', 'SIGBUS']) {
      const stage = openStage();

      stage.ban.takeEnd({ ...CRASH, signal });
      stage.pass(10 * MINUTE_MS - 1);
      const before = stage.ban.isOff;
      stage.pass(1);

      assert.deepEqual([signal, before, stage.ban.isOff, stage.changes], [signal, true, false, [true, false]]);
    }
  });

  it('turns them off when a worker was ended for its silence', () => {
    const { ban } = openStage();

    ban.takeEnd({ openIsolates: 2, signal: 'SIGKILL', wasSilent: true });

    assert.equal(ban.isOff, true);
  });

  it('leaves them on for whatever else ends a worker, or when it had none open', () => {
    const { ban, changes } = openStage();

    ban.takeEnd({ ...CRASH, signal: 'SIGKILL' });
    ban.takeEnd({ ...CRASH, signal: 'SIGTERM' });
    ban.takeEnd({ ...CRASH, signal: null });
    ban.takeEnd({ ...CRASH, openIsolates: 0 });
    ban.takeEnd({ openIsolates: 0, signal: 'SIGKILL', wasSilent: true });

    assert.deepEqual([ban.isOff, changes], [false, []]);
  });

  it('doubles the time with each crash, up to a day', () => {
    const stage = openStage();
    const minutes: number[] = [];

    for (let crash = 0; crash < 10; crash++) {
      stage.ban.takeEnd(CRASH);
      const beganMs = stage.nowMs;
      while (stage.ban.isOff) stage.pass(MINUTE_MS);
      minutes.push((stage.nowMs - beganMs) / MINUTE_MS);
    }

    assert.deepEqual(minutes, [10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440]);
  });

  it('counts workers that die together once', () => {
    const stage = openStage();

    for (let worker = 0; worker < 4; worker++) stage.ban.takeEnd(CRASH);
    stage.pass(10 * MINUTE_MS);

    assert.equal(stage.ban.isOff, false);
  });

  it('forgets the crashes after a day of peace', () => {
    const stage = openStage();
    stage.ban.takeEnd(CRASH);
    stage.pass(10 * MINUTE_MS + DAY_MS + 1);

    stage.ban.takeEnd(CRASH);
    stage.pass(10 * MINUTE_MS);

    assert.equal(stage.ban.isOff, false);
  });

  describe('on disk', () => {
    let folder: string;
    let path: string;
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'sallyport-ban-'));
      path = join(folder, 'isolates-off.json');
    });
    afterEach(() => rmSync(folder, { recursive: true, force: true }));

    it('outlives a restart, ends when it would have, and remembers how many there were', () => {
      openStage(path).ban.takeEnd(CRASH);
      const next = openStage(path, 1_000_000 + MINUTE_MS);
      const wasOff = next.ban.isOff;

      next.pass(9 * MINUTE_MS);
      const isOff = next.ban.isOff;
      next.ban.takeEnd(CRASH);
      next.pass(20 * MINUTE_MS - 1);

      assert.deepEqual([wasOff, isOff, next.ban.isOff, next.changes], [true, false, true, [false, true]]);
    });

    it('is not there when what is on disk is not ours', () => {
      for (const text of ['', '{', 'null', '[]', '{"untilMs":"x","crashes":1}', '{"untilMs":1e300,"crashes":1}']) {
        writeFileSync(path, text);

        assert.equal(openStage(path).ban.isOff, false, text);
      }
    });

    it('says until when, and after how many', () => {
      openStage(path).ban.takeEnd(CRASH);

      assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), { untilMs: 1_000_000 + 10 * MINUTE_MS, crashes: 1 });
    });
  });
});
