// Another try for installs that did not load: when, how often, and for which failures.
// Must not wait for the real pauses.
import assert from 'node:assert/strict';
import { type LoadResult, LoadRetries } from '../../../../gateway/sources/packages/load-retries.ts';

const FINE: readonly LoadResult[] = [{ problem: null }];
const fail = (code: string): readonly LoadResult[] => [...FINE, { problem: { pointer: '', code, message: '' } }];
/** Longer than any test. */
const NEVER_MS = 3_600_000;

describe('load retries', () => {
  let retries: LoadRetries;

  afterEach(() => retries.close());

  /** Resolves when another try is due. */
  function open(pausesMs: readonly number[], onDue?: () => void): Promise<void> {
    return new Promise((resolve) => {
      retries = new LoadRetries(() => {
        resolve();
        onDue?.();
      }, pausesMs);
    });
  }

  for (const code of ['LOAD_TIMEOUT', 'LOAD_FAILED', 'FIXTURE_FAILED', 'SETUP_FAILED']) {
    it(`come after ${code}`, async () => {
      const due = open([1]);

      retries.note(7, fail(code));

      await due;
    });
  }

  it('are as many as there are pauses, until a revision comes', async () => {
    const heard: number[] = [];
    let revision = 7;
    await new Promise<void>((resolve) => {
      void open([1, 1], () => {
        heard.push(revision);
        // After the second try there is none: only the next revision begins anew.
        if (heard.length === 2) {
          retries.note(revision, fail('LOAD_FAILED'));
          revision = 8;
        }
        if (heard.length === 4) resolve();
        else retries.note(revision, fail('LOAD_FAILED'));
      });
      retries.note(revision, fail('LOAD_FAILED'));
    });

    assert.deepEqual(heard, [7, 7, 8, 8]);
  });

  it('are one for all workers', async () => {
    let count = 0;
    const due = open([1, NEVER_MS], () => count++);

    retries.note(7, fail('LOAD_FAILED'));
    retries.note(7, fail('LOAD_FAILED'));
    await due;

    assert.equal(count, 1);
  });

  it('do not come for what was loaded, nor for what will fail again', async () => {
    const heard: string[] = [];
    const due = open([1, NEVER_MS], () => heard.push('due'));

    retries.note(7, FINE);
    retries.note(7, fail('SIGNATURE_MISSING'));
    assert.deepEqual(heard, []);
    // The first that may pass takes the first pause: neither of those before took it.
    retries.note(7, fail('LOAD_TIMEOUT'));
    await due;
  });

  it('are off after a close', async () => {
    const heard: string[] = [];
    void open([1], () => heard.push('closed'));
    retries.note(7, fail('LOAD_FAILED'));
    retries.close();

    const other = open([1]);
    retries.note(7, fail('LOAD_FAILED'));
    await other;

    assert.deepEqual(heard, []);
  });
});
