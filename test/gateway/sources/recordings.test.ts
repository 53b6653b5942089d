// Recorded requests on their way to Postgres: written in turn, never gathered without a bound.
import assert from 'node:assert/strict';
import type { RecordedRequest } from '../../../gateway/core/shadow/recorded.ts';
import { createRecordings } from '../../../gateway/sources/recordings.ts';
import { silentLog } from '../../support/product/database.ts';
import { until } from '../../support/until.ts';

describe('recorded requests on their way', () => {
  const requests = (count: number): readonly RecordedRequest[] =>
    Array.from({ length: count }, (_, atMs) => ({
      ...{ atMs, api: { id: 'a', name: 'a' }, route: { id: 'r', name: 'r' }, httpVersion: '1.1', scheme: 'http' },
      ...{ method: 'GET', host: 'a.test', path: '/', query: '', headers: [], hasBody: false },
    }));

  it('wait in a bounded number while others are written, and the newest stay', async () => {
    const written: number[] = [];
    let finish: () => void = () => undefined;
    const write = (batch: readonly RecordedRequest[]): Promise<void> => {
      written.push(batch.length);
      return new Promise((resolve) => {
        finish = resolve;
      });
    };
    const recordings = createRecordings({ isConnected: () => true, write, log: silentLog });
    recordings.take(requests(1));
    for (let round = 0; round < 10; round++) recordings.take(requests(100));
    assert.deepEqual(written, [1]);

    finish();

    await until(() => written.length === 2);
    assert.deepEqual(written, [1, 500]);
    finish();
  });

  it('are dropped while Postgres is away, and when it does not take them', async () => {
    const written: number[] = [];
    let isConnected = false;
    const write = async (batch: readonly RecordedRequest[]): Promise<void> => {
      written.push(batch.length);
      throw new Error('away');
    };
    const recordings = createRecordings({ isConnected: () => isConnected, write, log: silentLog });

    recordings.take(requests(3));
    isConnected = true;
    recordings.take(requests(2));
    await until(() => written.length === 1);
    await new Promise((resolve) => setImmediate(resolve));
    recordings.take(requests(1));

    await until(() => written.length === 2);
    assert.deepEqual(written, [2, 1]);
  });
});
