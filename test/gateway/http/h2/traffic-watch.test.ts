// How a connection is judged by its bytes.
// Must not open one.
import assert from 'node:assert/strict';
import { TrafficWatch } from '../../../../gateway/http/h2/traffic-watch.ts';

const MEBIBYTE = 1024 * 1024;

describe('TrafficWatch', () => {
  it('takes a mebibyte of nothing, and eight bytes for each that carries something', () => {
    const watch = new TrafficWatch(0);

    const first = watch.look(MEBIBYTE, 1);
    watch.countHead(MEBIBYTE);
    const second = watch.look(10 * MEBIBYTE, 2);
    watch.countHead(MEBIBYTE);
    const third = watch.look(20 * MEBIBYTE, 3);

    assert.deepEqual([first, second, third], ['fine', 'fine', 'flooded']);
  });

  it('takes bodies that wait for their reader, and more beside them once they are read', () => {
    const watch = new TrafficWatch(0);

    watch.countArrived(6 * MEBIBYTE);
    const waiting = watch.look(6.5 * MEBIBYTE, 1);
    watch.countRead(6 * MEBIBYTE);
    const read = watch.look(49 * MEBIBYTE, 2);
    watch.countArrived(MEBIBYTE);
    const padded = watch.look(52 * MEBIBYTE, 3);

    assert.deepEqual([waiting, read, padded], ['fine', 'fine', 'flooded']);
  });

  it('takes far fewer bytes where bodies come by the byte', () => {
    const watch = new TrafficWatch(0);
    const frameBytes = 10;
    const frames = 50_000;

    for (let sent = 0; sent < frames; sent++) watch.countArrived(1);
    const verdict = watch.look(frames * frameBytes, 1);

    assert.equal(verdict, 'flooded');
  });

  it('takes two windows for each piece that was sent, and more where it was large', () => {
    const watch = new TrafficWatch(0);
    const windowsBytes = 26;
    const pieces = 100_000;

    for (let sent = 0; sent < pieces; sent++) watch.countSent(1);
    const small = watch.look(pieces * windowsBytes, 1);
    watch.countSent(1024 * MEBIBYTE);
    const large = watch.look(64 * MEBIBYTE, 2);
    const unasked = watch.look(66 * MEBIBYTE, 3);

    assert.deepEqual([small, large, unasked], ['fine', 'fine', 'flooded']);
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
