// Tests the orders service over a real socket.
// Must not involve the gateway.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { buildOrdersService } from './service.ts';

describe('orders service', () => {
  let service: Server;
  let url: string;

  beforeEach(async () => {
    service = buildOrdersService().listen(0, '127.0.0.1');
    await once(service, 'listening');
    const address = service.address();
    assert.ok(address !== null && typeof address === 'object');
    url = `http://127.0.0.1:${address.port}`;
  });

  afterEach(async () => {
    service.close();
    service.closeAllConnections();
    await once(service, 'close');
  });

  async function ask(path: string, init?: RequestInit): Promise<{ status: number; body: unknown }> {
    const response = await fetch(url + path, init);
    return { status: response.status, body: await response.json() };
  }

  it('lists its orders', async () => {
    const { status, body } = await ask('/orders');

    assert.equal(status, 200);
    assert.deepEqual(body, [
      { id: 1001, item: 'lamp', quantity: 2 },
      { id: 1002, item: 'chair', quantity: 4 },
    ]);
  });

  it('shows a new order under its own path', async () => {
    const made = await ask('/orders', { method: 'POST', body: '{"item":"desk","quantity":1}' });

    assert.equal(made.status, 201);
    assert.deepEqual(await ask('/orders/1003'), { status: 200, body: { id: 1003, item: 'desk', quantity: 1 } });
  });

  for (const body of [
    '',
    '[]',
    'null',
    '{"item":"desk"}',
    '{"item":"","quantity":1}',
    '{"item":"desk","quantity":0.5}',
  ]) {
    it(`answers 400 to an order that is ${body || 'empty'}`, async () => {
      const { status } = await ask('/orders', { method: 'POST', body });

      assert.equal(status, 400);
    });
  }

  it('answers 413 to a body longer than any order', async () => {
    const { status } = await ask('/orders', { method: 'POST', body: 'x'.repeat(65 * 1024) });

    assert.equal(status, 413);
  });

  it('answers 404 to an order that does not exist, and to anything else', async () => {
    assert.equal((await ask('/orders/1')).status, 404);
    assert.equal((await ask('/nothing')).status, 404);
    assert.equal((await ask('/orders/1001', { method: 'DELETE' })).status, 404);
  });
});
