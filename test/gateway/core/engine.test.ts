// Updates that touch little: the engine ends where a whole document would have brought it.
import assert from 'node:assert/strict';
import { startGateway, type TestGateway } from '../../support/engine.ts';
import { makeApi, makeRoute, putAll } from '../../support/entities.ts';
import { type Origin, startOrigin } from '../../support/wire/origin.ts';

describe('an update of one api', () => {
  let origin: Origin;
  let gateway: TestGateway;

  beforeEach(async () => {
    [origin, gateway] = await Promise.all([startOrigin(), startGateway()]);
  });

  afterEach(async () => {
    await gateway.close();
    await origin.close();
  });

  async function statusesOf(...paths: readonly string[]): Promise<readonly number[]> {
    return Promise.all(paths.map(async (path) => (await fetch(`${gateway.url}${path}`)).status));
  }

  it('moves its routes, takes it away and brings it back, and leaves the others', async () => {
    const one = makeApi({ name: 'one', upstream: origin.url, routes: [makeRoute({ paths: ['/one'] })] });
    const other = makeApi({ name: 'other', upstream: origin.url, routes: [makeRoute({ paths: ['/other'] })] });
    const moved = { ...one, routes: [makeRoute({ paths: ['/moved'] })] };
    const seen: (readonly number[])[] = [];
    const look = async (): Promise<void> => {
      seen.push(await statusesOf('/one', '/moved', '/other'));
    };

    await gateway.apply(putAll({ apis: [one, other] }));
    await look();
    await gateway.apply(putAll({ apis: [moved] }));
    await look();
    await gateway.apply([{ kind: 'api', id: one.id }]);
    await look();
    await gateway.apply(putAll({ apis: [one] }));
    await look();

    assert.deepEqual(seen, [
      [200, 404, 200],
      [404, 200, 200],
      [404, 404, 200],
      [200, 404, 200],
    ]);
  });
});
