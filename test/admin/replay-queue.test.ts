// What a replay is told when too many others wait.
// Must not run one: each takes processes.
import assert from 'node:assert/strict';
import { ADMIN_ERRORS, AdminError } from '../../admin/errors.ts';
import { createQueue } from '../../admin/queue.ts';
import { REPLAY_QUEUE } from '../../admin/replay/replay.ts';

describe('the queue of replays', () => {
  it('refuses what is beyond its bounds with a code of its own, and says when to come again', async () => {
    const inTurn = createQueue(REPLAY_QUEUE);
    const letGo: (() => void)[] = [];
    const task = (): Promise<void> => new Promise((resolve) => letGo.push(resolve));
    const taken = Array.from({ length: REPLAY_QUEUE.atOnce + REPLAY_QUEUE.maxWaiting }, () => inTurn(task));

    const refusal: unknown = await inTurn(task).catch((error: unknown) => error);

    assert.ok(refusal instanceof AdminError);
    assert.deepEqual([refusal.code, ADMIN_ERRORS[refusal.code].status], ['TOO_MANY_REPLAYS', 503]);
    assert.deepEqual(refusal.options.headers, { 'Retry-After': '15' });
    for (let ended = 0; ended < taken.length; ended++) {
      letGo[ended]?.();
      await taken[ended];
    }
  });
});
