// Facts about the status port, over a real socket.
// Must not start a node.
import assert from 'node:assert/strict';
import { type Readiness, type StatusServer, startStatus } from '../../../gateway/ops/status.ts';

const READY: Readiness = {
  isReady: true,
  state: 'serving',
  revision: 7,
  source: 'live',
  ageSeconds: 0,
  workers: { wanted: 2, serving: 2 },
};

describe('status port', () => {
  let status: StatusServer;
  let readiness = READY;

  beforeEach(async () => {
    readiness = READY;
    status = await startStatus({
      host: '127.0.0.1',
      port: 0,
      readReadiness: () => readiness,
      writeMetrics: async () => 'sallyport_workers 2\n',
    });
  });

  afterEach(() => status.close());

  const ask = (path: string, method = 'GET'): Promise<Response> =>
    fetch(`http://127.0.0.1:${status.port}${path}`, { method });

  it('says that it lives', async () => {
    const response = await ask('/livez');

    assert.equal(response.status, 200);
    assert.deepEqual(await response.json(), { isAlive: true });
  });

  it('answers 200 with revision and source when ready', async () => {
    const response = await ask('/readyz?verbose');

    assert.equal(response.status, 200);
    assert.deepEqual(await response.json(), READY);
  });

  it('answers 503 when draining', async () => {
    readiness = { ...READY, isReady: false, state: 'draining' };

    const response = await ask('/readyz');

    assert.equal(response.status, 503);
    assert.equal(((await response.json()) as Readiness).state, 'draining');
  });

  it('gives metrics as Prometheus text', async () => {
    const response = await ask('/metrics');

    assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
    assert.equal(await response.text(), 'sallyport_workers 2\n');
  });

  it('knows nothing else', async () => {
    assert.equal((await ask('/v1/config')).status, 404);
    assert.equal((await ask('/livez', 'POST')).status, 405);
  });
});
