// What reading installs says of nodes on which something else runs.
// Must not start nodes: it writes what they would.
import assert from 'node:assert/strict';
import { query } from '../support/market/stored-market.ts';
import { startTestMarket, type TestMarket } from './marketplace/support.ts';

const GRANTED = { response: { headers: { write: ['x-hello'] } } };
const PROBLEM = { pointer: '', code: 'FIXTURE_FAILED', message: 'fixture greets' };
const PREVIOUS = { version: '0.9.0', problem: null, isRunning: true };

describe('installs that do not run everywhere', function () {
  this.timeout(30_000);
  let market: TestMarket;

  beforeEach(async () => {
    market = await startTestMarket();
    await market.approve('1.0.0');
    const body = { plugin: 'acme/hello', version: '1.0.0', granted: GRANTED };
    await market.admin.expect(201, 'POST', '/v1/installs', { body });
  });

  afterEach(() => market.close());

  const report = (name: string, problem: unknown, seenAgo = '0 seconds'): Promise<unknown> => {
    const plugin = { plugin: 'acme/hello', wanted: '1.0.0', running: '0.9.0', problem, previous: PREVIOUS };
    return query(
      market.admin.database.url,
      `INSERT INTO nodes (id, name, mode, version, started_at, last_seen_at, revision, offered_revision, workers, health, plugins)
       VALUES (gen_random_uuid(), $1, 'central', '0', now(), now() - $2::interval, 1, 1, '[]', '{}', $3)`,
      [name, seenAgo, JSON.stringify([plugin])],
    );
  };

  it('are shown with every live node that says so, and what runs there', async () => {
    await report('bad', PROBLEM);
    await report('well', null);
    await report('gone', PROBLEM, '1 hour');

    const one = await market.admin.expect(200, 'GET', '/v1/installs/acme/hello');
    const all = await market.admin.expect(200, 'GET', '/v1/installs');

    const told = [{ node: 'bad', wanted: '1.0.0', running: '0.9.0', problem: PROBLEM, previous: PREVIOUS }];
    assert.deepEqual(one.body['troubles'], told);
    assert.deepEqual((all.body['data'] as readonly Record<string, unknown>[])[0]?.['troubles'], told);
  });
});
