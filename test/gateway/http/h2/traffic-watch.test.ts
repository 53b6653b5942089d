// How a connection is judged by its bytes.
// Must not open one.
import assert from 'node:assert/strict';
import { TrafficWatch } from '../../../../gateway/http/h2/traffic-watch.ts';

const MEBIBYTE = 1024 * 1024;

describe('TrafficWatch', () => {
  it('takes a mebibyte of nothing, and eight bytes for each that carries something', () => {
    const watch = new TrafficWatch(0);

    const first = watch.look(MEBIBYTE, 1);
    watch.count(MEBIBYTE);
    const second = watch.look(10 * MEBIBYTE, 2);
    watch.count(MEBIBYTE);
    const third = watch.look(20 * MEBIBYTE, 3);

    assert.deepEqual([first, second, third], ['fine', 'fine', 'flooded']);
  });

  it('asks once whether a silent client lives, and gives it five seconds', () => {
    const watch = new TrafficWatch(0);

    const verdicts = [14_999, 15_000, 17_000, 19_999, 20_000].map((nowMs) => watch.look(0, nowMs));

    assert.deepEqual(verdicts, ['fine', 'silent', 'fine', 'fine', 'dead']);
  });

  it('begins anew with every byte', () => {
    const watch = new TrafficWatch(0);

    const asked = watch.look(0, 15_000);
    const answered = watch.look(17, 16_000);
    const verdicts = [30_999, 31_000, 36_000].map((nowMs) => watch.look(17, nowMs));

    assert.deepEqual([asked, answered, ...verdicts], ['silent', 'fine', 'fine', 'silent', 'dead']);
  });
});
