// Facts about how soon a crashed worker is started again.
// Must not wait: time is turned by hand.
import assert from 'node:assert/strict';
import { createRestartPolicy } from '../../../../gateway/modes/central/keeper/restart-policy.ts';

describe('restart policy', () => {
  it('restarts at once five times in a minute, then ever more slowly up to 5 s', () => {
    const policy = createRestartPolicy({ monotonicMs: () => 0 });

    const delays = Array.from({ length: 14 }, () => policy.nextDelayMs());

    assert.deepEqual(delays, [0, 0, 0, 0, 0, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
  });

  it('forgets a crash after a minute', () => {
    let nowMs = 0;
    const policy = createRestartPolicy({ monotonicMs: () => nowMs });
    for (let crash = 0; crash < 8; crash++) policy.nextDelayMs();

    nowMs = 60_000;

    assert.equal(policy.nextDelayMs(), 0);
  });
});
