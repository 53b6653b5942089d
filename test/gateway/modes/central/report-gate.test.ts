// When reports of a node wait for its disk, and when they do not.
// Must not wait for real patience.
import assert from 'node:assert/strict';
import { ReportGate } from '../../../../gateway/modes/central/report-gate.ts';
import { createDeferred } from '../../../../gateway/ops/deferred.ts';

/** Longer than any test. */
const NEVER_MS = 3_600_000;

describe('the gate of reports', () => {
  it('lets reports pass at once while nothing is being saved', async () => {
    const gate = new ReportGate(NEVER_MS);
    const sent: string[] = [];
    gate.hold(Promise.resolve());
    await new Promise<void>((resolve) => gate.pass(resolve));

    gate.pass(() => sent.push('now'));

    assert.deepEqual(sent, ['now']);
  });

  it('holds each until what came before it is saved, and keeps their order', async () => {
    const gate = new ReportGate(NEVER_MS);
    const sent: string[] = [];
    const [first, second] = [createDeferred<void>(), createDeferred<void>()];
    gate.hold(first.promise);
    gate.pass(() => sent.push('first'));
    gate.hold(second.promise);
    const last = new Promise<void>((resolve) => gate.pass(resolve));
    gate.pass(() => sent.push('second'));

    second.resolve();
    await second.promise;
    const early = [...sent];
    first.resolve();
    await last;
    await Promise.resolve();

    assert.deepEqual([early, sent], [[], ['first', 'second']]);
  });

  it('holds none for longer than its patience', async () => {
    const gate = new ReportGate(1);
    gate.hold(new Promise(() => undefined));

    await new Promise<void>((resolve) => {
      const awake = setInterval(() => undefined, 1_000);
      gate.pass(() => {
        clearInterval(awake);
        resolve();
      });
    });
  });
});
