// Throws hostile packages at the tiers that are to hold them: this process goes on answering, whatever they do.
// Must not test what an honest package may do.
import assert from 'node:assert/strict';
import { closeAll, GUEST_TIERS, listChildren, type OpenPackage, openPackage } from './support.ts';

const LIMITS = { timeoutMs: 150, memoryMb: 32 };
/** What a machine that is busy with other things may take longer. */
const PATIENCE_MS = 1_500;

/** Serves again: a set-up waits for the guest that is made anew. */
async function recovers(pack: OpenPackage): Promise<void> {
  const { status } = await (await pack.start()).send({ request: { path: '/good' } });
  assert.equal(status, 200);
}

function hookFor(attack: string, before = ''): { readonly hooks: string; readonly before: string } {
  return {
    before,
    hooks: `async onRequest(exchange, config, state) { if (exchange.request.path === '/bad') { ${attack} } }`,
  };
}

for (const tier of GUEST_TIERS) {
  describe(`a hostile package in tier ${tier}`, function () {
    this.timeout(20_000);
    afterEach(closeAll);

    const open = (attack: string, before?: string): Promise<OpenPackage> =>
      openPackage(tier, {
        ...hookFor(attack, before),
        permissions: { request: { path: 'read', headers: 'write' } },
        limits: LIMITS,
      });

    const loops: Readonly<Record<string, string>> = {
      'an endless loop': 'for (;;) {}',
      'an endless loop of promises': 'for (;;) await null;',
      'an endless chain of promises': 'const again = () => Promise.resolve().then(again); await again();',
      'a regular expression that backtracks': "/^(a+)+$/.test('a'.repeat(50) + 'b');",
      'a sort that never ends': '[2, 1].sort(() => { for (;;); });',
      'a getter in what it returns': 'return { get then() { for (;;); } };',
    };
    for (const [name, attack] of Object.entries(loops)) {
      it(`is cut at its time limit: ${name}`, async () => {
        const pack = await open(attack);
        const running = await pack.start();
        let ticks = 0;
        const timer = setInterval(() => ticks++, 10);
        const beganMs = performance.now();

        const { status } = await running.send({ request: { path: '/bad' } });

        const tookMs = performance.now() - beganMs;
        clearInterval(timer);
        assert.ok(status === 503 || status === 500, String(status));
        assert.ok(tookMs < LIMITS.timeoutMs + PATIENCE_MS, `${tookMs} ms`);
        // The worker itself is inside an isolate, for a time limit at most.
        if (tier !== 'isolate') assert.ok(ticks > 0, 'this process went on');
        await pack.incident('timeout');
        await recovers(pack);
      });
    }

    const bombs: Record<string, string> = {
      arrays: 'const kept = []; for (;;) kept.push(new Array(1000).fill(1));',
      text: "let kept = 'x'; for (;;) kept = [kept + kept, Math.random()].join('').slice(1);",
      bytes: 'const kept = []; for (;;) kept.push(new Uint8Array(1 << 20).fill(1));',
      'one array': 'new Array(2 ** 30).fill(0);',
      'a map': 'const kept = new Map(); for (let i = 0; ; i++) kept.set(i, { i });',
    };
    // V8 does not let go of this one: it ends the worker, see isolate-crash.test.ts.
    if (tier === 'isolate') delete bombs['one array'];
    for (const [name, attack] of Object.entries(bombs)) {
      it(`is held to its memory: a bomb of ${name}`, async () => {
        const others = listChildren();
        const pack = await openPackage(tier, {
          ...hookFor(attack),
          permissions: { request: { path: 'read' } },
          limits: { ...LIMITS, timeoutMs: 5_000 },
        });
        const running = await pack.start();
        const before = process.memoryUsage.rss();
        let peakMb = 0;
        const timer = setInterval(() => {
          peakMb = Math.max(peakMb, ...listChildren(others).map((child) => child.peakMb));
        }, 5);

        const { status } = await running.send({ request: { path: '/bad' } });

        clearInterval(timer);
        assert.ok(status >= 500, String(status));
        assert.ok(peakMb < 48 + 100, `${peakMb} MB in the child`);
        assert.ok(process.memoryUsage.rss() - before < 100 * 1024 * 1024, 'this process did not pay');
        await recovers(pack);
      });
    }

    it('has nothing to reach out with', async () => {
      const names =
        'process require module global Buffer fetch WebSocket EventSource XMLHttpRequest setTimeout setInterval setImmediate queueMicrotask ' +
        'performance crypto navigator Worker MessageChannel BroadcastChannel WebAssembly SharedArrayBuffer Atomics Deno Bun';
      const pack = await open(
        `exchange.request.headers.set('x-found', '${names}'.split(' ').filter((name) => name in globalThis).join(' '));`,
      );

      const { sent, error } = await (await pack.start()).send({ request: { path: '/bad' } });

      assert.equal(error, undefined);
      assert.equal(sent?.headers.get('x-found'), '');
    });

    it('makes no code of text, and finds no way out by a constructor', async () => {
      const pack = await open(`
        const objects = [exchange, exchange.request, exchange.request.headers, config, exchange.state, new Uint8Array(1),
          Promise.resolve(), (() => {}), async () => {}, function* () {}, async function* () {}, new Error('x'), /x/, globalThis, this];
        const deep = () => { try { deep(); } catch (error) { objects.push(error); throw error; } };
        try { deep(); } catch {}
        try { exchange.request.headers.set('\\n', ''); } catch (error) { objects.push(error); }
        try { await exchange.request.readBody(); } catch (error) { objects.push(error); }
        const found = [];
        for (const object of objects.slice(0, 40)) {
          for (let at = object; at; at = Object.getPrototypeOf(at)) {
            try {
              const result = at.constructor.constructor('return typeof process + typeof require')();
              found.push(result);
            } catch {}
          }
        }
        try { found.push((0, eval)('1')); } catch {}
        exchange.request.headers.set('x-found', found.join(' '));
      `);

      const { sent, error } = await (await pack.start()).send({ request: { path: '/bad' } });

      assert.equal(error, undefined);
      assert.equal(sent?.headers.get('x-found'), '');
    });

    it('poisons nothing but its own realm', async () => {
      const pack = await open(
        '',
        `
        Object.prototype.poison = 'p'; Array.prototype.push = () => 0; Array.prototype.map = null; JSON.parse = () => ({}); JSON.stringify = () => '[]';
        Promise.prototype.then = function () { return this; }; Function.prototype.call = () => 'c'; Map.prototype.get = () => 'm';
        Uint8Array.prototype.set = () => 0; Object.defineProperty(Array.prototype, 0, { set() {}, get: () => 'zero' });
        Error.prepareStackTrace = (_error, sites) => sites.map((site) => site.getThis());
        globalThis.Map = class {}; globalThis.Promise = class {}; globalThis.Uint8Array = class {};`,
      ).catch(() => undefined);
      const other = await open("exchange.request.headers.set('x-ok', String({}.poison));");

      const { status, sent } = await (await other.start()).send({ request: { path: '/bad' } });
      await pack
        ?.start()
        .then((running) => running.send({ request: { path: '/good' } }))
        .catch(() => undefined);

      assert.deepEqual([status, sent?.headers.get('x-ok')], [200, 'undefined']);
      assert.equal('poison' in {}, false);
    });

    it('loads no module but the contract, neither at load nor later', async () => {
      for (const name of [
        'node:fs',
        'fs',
        'node:net',
        'node:child_process',
        './child.js',
        'file:///etc/passwd',
        'data:text/javascript,1',
      ]) {
        await assert.rejects(
          openPackage(tier, { before: `import * as x from '${name}';`, hooks: 'onRequest() {}' }),
          /sallyport\/plugin/,
        );
      }
      for (const call of ['import("node:fs")', 'import /* a */ ("node:fs")', 'import// a\n("node:fs")']) {
        await assert.rejects(openPackage(tier, { hooks: `async onRequest() { await ${call}; }` }), /cannot import\(\)/);
      }
    });

    it('is told of when it leaves a rejection unhandled, and goes on', async () => {
      const pack = await open("Promise.reject(new Error('left behind'));");
      const running = await pack.start();

      const { status } = await running.send({ request: { path: '/bad' } });

      assert.equal(status, 200);
      assert.match((await pack.incident('crash')).message, /left behind/);
      assert.equal((await running.send({ request: { path: '/good' } })).status, 200);
    });

    it('fails when its effects are too many or too large, and goes on', async () => {
      const attacks = [
        "for (let i = 0; i < 2_000; i++) exchange.request.headers.append('x-a', 'b');",
        "exchange.request.headers.set('x-a', 'b'.repeat(20_000));",
        "exchange.request.headers.set('x-a', 'b'.repeat(10_000_000));",
        "for (let i = 0; i < 900; i++) exchange.request.headers.append('x-a', 'b'.repeat(1_000));",
      ];
      for (const attack of attacks) {
        const pack = await open(attack);

        const { status, reachedUpstream } = await (await pack.start()).send({ request: { path: '/bad' } });

        assert.deepEqual([attack, status, reachedUpstream], [attack, 500, false]);
        await recovers(pack);
      }
    });

    it('holds up nobody else while it loops', async () => {
      const loop = await open('for (;;) {}');
      const other = await openPackage(tier, { ...hookFor(''), permissions: { request: { path: 'read' } } });
      const [looping, good] = [await loop.start(), await other.start()];
      await good.send({ request: { path: '/good' } });

      const stuck = looping.send({ request: { path: '/bad' } });
      const first = await good.send({ request: { path: '/good' } });

      assert.equal(first.status, 200);
      assert.ok((await stuck).status >= 500);
    });
  });
}
