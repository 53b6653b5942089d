// The isolate tier alone: how the worker goes in and out, and how a package moves to a process and back.
// Must not test what a package does in every tier.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import type { Exchange } from '../../../gateway/core/plugin.ts';
import { type GateNote, IsolateGate } from '../../../gateway/sandbox/isolate/gate.ts';
import { fakeExchange, fakeHost } from '../../../gateway/testing.ts';
import { until } from '../../support/until.ts';
import { closeAll, HAS_ISOLATES, listChildren, openPackage } from './support.ts';

type Hook = (exchange: Exchange, config: unknown, state: unknown) => unknown;

const STAMP = {
  permissions: { respond: true, request: { path: 'read' } },
  hooks: `setup: (config) => config.word, onRequest(exchange, config, state) { exchange.respond(200, {}, state); }`,
  config: { word: 'as before' },
} as const;

// Where isolates do not load there is nothing to test; node-isolates.test.ts tests what happens instead.
if (HAS_ISOLATES) {
  describe('an isolate of the sandbox', function () {
    this.timeout(20_000);
    afterEach(closeAll);

    it('answers a hook that does not wait at once, without a promise', async () => {
      const { sandbox } = await openPackage('isolate', {
        permissions: { request: { headers: 'write' } },
        hooks: `onRequest(exchange) { exchange.request.headers.set('x-a', 'b'); }`,
      });
      const state = await sandbox.plugin.setup?.({}, fakeHost());
      const exchange = fakeExchange();

      const result = (sandbox.plugin.onRequest as Hook)(exchange, {}, state);

      assert.deepEqual([result, exchange.request.headers.get('x-a')], [undefined, 'b']);
    });

    it('keeps what it answered when it leaves a rejection behind as well', async () => {
      const pack = await openPackage('isolate', {
        permissions: { respond: true },
        hooks: `onRequest(exchange) { Promise.reject(new Error('left')); exchange.respond(201); }`,
      });

      const { status } = await (await pack.start()).send();

      assert.equal(status, 201);
      assert.match((await pack.incident('crash')).message, /left/);
    });

    it('does not hold the worker while it is set up, and lets hooks wait for that', async () => {
      const pack = await openPackage('isolate', {
        permissions: { respond: true },
        hooks: `
          setup({ ms }) { const end = Date.now() + ms; while (Date.now() < end); },
          onRequest(exchange) { exchange.respond(204); }`,
      });
      const running = await pack.start({ ms: 0 });
      let ticks = 0;
      const timer = setInterval(() => ticks++, 10);

      const slow = pack.start({ ms: 500 });
      const { status } = await running.send();
      await slow;

      clearInterval(timer);
      assert.ok(ticks > 5, `${ticks} ticks`);
      assert.equal(status, 204);
    });

    it('is ended in a loop that V8 unrolls until nothing interrupts it', async () => {
      const pack = await openPackage('isolate', {
        limits: { timeoutMs: 100 },
        hooks: 'onRequest() { for (;;) new Array(1000).fill(1); }',
      });

      const { status } = await (await pack.start()).send();

      assert.equal(status, 503);
      await pack.incident('timeout');
    });

    it('gives a guest its own copy of bytes, and nothing of what lies beside them', async () => {
      const pack = await openPackage('isolate', {
        permissions: { request: { body: 'read', headers: 'write' } },
        hooks: `async onRequest(exchange) {
          const bytes = await exchange.request.readBody();
          exchange.request.headers.set('x-size', [bytes.length, bytes.buffer.byteLength].join());
        }`,
      });

      const { sent } = await (await pack.start()).send({ request: { method: 'POST', body: ['hello'] } });

      assert.equal(sent?.headers.get('x-size'), '5,5');
    });

    it('shows a guest nothing by which it could reach the gateway', async () => {
      const pack = await openPackage('isolate', {
        permissions: { respond: true },
        before: `const names = Object.getOwnPropertyNames(globalThis).filter((name) => {
          const value = globalThis[name];
          return /^(isolate|ivm|_|\\$)/i.test(name) || (typeof value === 'object' && value && 'derefInto' in value);
        });`,
        hooks: 'onRequest(exchange) { exchange.respond(200, {}, names.join()); }',
      });

      assert.equal((await (await pack.start()).send()).body, '');
    });

    it('is made anew when it was ended, set up as before', async () => {
      const pack = await openPackage('isolate', {
        ...STAMP,
        limits: { timeoutMs: 100 },
        hooks: `setup: (config) => config.word, onRequest(exchange, config, state) {
          if (exchange.request.path === '/bad') for (;;);
          exchange.respond(200, {}, state);
        }`,
      });
      const running = await pack.start();

      await running.send({ request: { path: '/bad' } });
      const other = await pack.start();

      assert.deepEqual([(await running.send()).body, (await other.send()).body], ['as before', 'as before']);
    });

    it('ends its threads when it is closed', async () => {
      const countThreads = (): number => readdirSync('/proc/self/task').length;
      const warm = await openPackage('isolate', STAMP);
      await (await warm.start()).send();
      await closeAll();
      const before = countThreads();

      for (let round = 0; round < 10; round++) {
        const pack = await openPackage('isolate', STAMP);
        await (await pack.start()).send();
        await closeAll();
      }

      await until(() => countThreads() <= before + 2);
    });

    it('moves to a process and back while requests flow, and none of them fails', async () => {
      const notes: GateNote[] = [];
      const gate = new IsolateGate((note) => notes.push(note));
      const others = listChildren();
      const pack = await openPackage('isolate', { ...STAMP, isolates: gate });
      const running = await pack.start();
      const failed: unknown[] = [];
      let isOver = false;
      const traffic = (async () => {
        while (!isOver) {
          const { status, body } = await running.send();
          if (status !== 200 || body !== 'as before') failed.push([status, body]);
          await new Promise((resolve) => setImmediate(resolve));
        }
      })();

      gate.take({ isOff: true });
      await until(() => notes.at(-1)?.open === 0);
      const children = listChildren(others).length;
      gate.take({ isOff: false });
      await until(() => notes.at(-1)?.open === 1 && listChildren(others).length === 0);
      isOver = true;
      await traffic;

      assert.deepEqual(failed, []);
      assert.ok(children > 0, 'it was in a process');
      assert.deepEqual(
        notes.map(({ open }) => open),
        [1, 0, 1],
      );
      assert.deepEqual(pack.incidents, []);
    });

    it('begins in a process while isolates are off', async () => {
      const gate = new IsolateGate();
      gate.take({ isOff: true });
      const others = listChildren();

      const pack = await openPackage('isolate', { ...STAMP, isolates: gate });

      assert.equal((await (await pack.start()).send()).body, 'as before');
      assert.ok(listChildren(others).length > 0);
    });
  });
}
