// Holds every tier to the same contract: one package, one result.
// Must not test what a hostile plugin does.
import assert from 'node:assert/strict';
import { fakeConsumers, fakeHost, type TestHost } from '../../../gateway/testing.ts';
import { closeAll, openPackage, TIERS } from './support.ts';

function hostWith(options: Parameters<typeof fakeHost>[0] = {}): TestHost {
  return fakeHost({ ...options, binding: { plugin: 'acme/test' } });
}

for (const tier of TIERS) {
  describe(`a package in tier ${tier}`, () => {
    afterEach(closeAll);

    it('reads and changes what it was granted, on both sides', async () => {
      const pack = await openPackage(tier, {
        names: ['onRequest', 'onResponse'],
        permissions: {
          request: { headers: { read: ['x-*'], write: ['x-acme-*'] }, path: 'write', query: 'write' },
          response: { headers: 'write' },
        },
        hooks: `
          onRequest(exchange) {
            const { request } = exchange;
            request.headers.set('x-acme-seen', [request.method, request.path, request.query, request.headers.get('x-in')].join(' '));
            request.headers.append('X-Acme-Seen', 'twice');
            request.headers.delete('x-acme-old');
            request.path = '/b';
            request.query = 'c=1';
          },
          onResponse(exchange) {
            exchange.response.headers.set('x-status', String(exchange.response.status) + exchange.response.source);
          }`,
      });
      const running = await pack.start();

      const { status, sent, headers } = await running.send({
        request: { method: 'POST', path: '/a', query: 'b=1', headers: { 'x-in': 'in', 'x-acme-old': '1' } },
      });

      assert.equal(status, 200);
      assert.deepEqual(sent?.headers.getAll('x-acme-seen'), ['POST /a b=1 in', 'twice']);
      assert.deepEqual([sent?.target, sent?.headers.has('x-acme-old')], ['/b?c=1', false]);
      assert.equal(headers.get('x-status'), '200upstream');
      assert.deepEqual(pack.incidents, []);
    });

    it('answers, refuses with a code, and fails by the fail policy', async () => {
      const pack = await openPackage(tier, {
        permissions: { respond: true, request: { path: 'read' } },
        hooks: `
          async onRequest(exchange) {
            const { path } = exchange.request;
            if (path === '/bytes') return exchange.respond(201, { 'x-a': 'b' }, new Uint8Array([104, 105]));
            if (path === '/text') return exchange.respond(202, {}, 'h\\u00e9 \\ud83d\\ude00');
            if (path === '/refuse') throw new GatewayError('FORBIDDEN', 'not you', { headers: { 'x-why': 'me' } });
            throw new Error('a secret of the plugin');
          }`,
      });
      const running = await pack.start();
      const send = (path: string) => running.send({ request: { path } });

      const [bytes, text, refused, failed] = [
        await send('/bytes'),
        await send('/text'),
        await send('/refuse'),
        await send('/fail'),
      ];

      assert.deepEqual([bytes.status, bytes.body, bytes.headers.get('x-a')], [201, 'hi', 'b']);
      assert.deepEqual([text.status, text.body], [202, 'hé 😀']);
      assert.deepEqual([refused.status, refused.headers.get('x-why')], [403, 'me']);
      assert.match(refused.body, /not you/);
      assert.equal(failed.status, 500);
      assert.doesNotMatch(failed.body, /secret/);
    });

    it('reads a body and puts another in its place', async () => {
      const pack = await openPackage(tier, {
        permissions: { request: { body: 'write' } },
        hooks: `
          async onRequest(exchange) {
            const text = new TextDecoder().decode(await exchange.request.readBody());
            exchange.request.setBody(new TextEncoder().encode(text.toUpperCase() + exchange.request.hasBody));
          }`,
      });
      const running = await pack.start();

      const { sent } = await running.send({ request: { method: 'POST', body: ['häl', 'lo'] } });

      assert.equal(Buffer.from(sent?.body ?? []).toString(), 'HÄLLOtrue');
    });

    it('changes, drops and leaves chunks, and knows an exchange again', async () => {
      const pack = await openPackage(tier, {
        names: ['onRequest', 'onResponseChunk'],
        permissions: { response: { body: 'write' } },
        before: 'const seen = new WeakMap();',
        hooks: `
          onRequest(exchange) { seen.set(exchange, 'known'); exchange.state.set('n', 0); },
          onResponseChunk(chunk, last, exchange) {
            const n = exchange.state.get('n') + 1;
            exchange.state.set('n', n);
            if (last) return new TextEncoder().encode(seen.get(exchange) + n);
            if (chunk[0] === 100) return null;
            return chunk[0] === 107 ? undefined : chunk.map((byte) => byte + 1);
          }`,
      });
      const running = await pack.start();

      const { body, bytes } = await running.send({ upstream: { body: ['abc', 'drop', 'keep'] } });

      assert.equal(bytes.length, body.length);
      assert.equal(body, 'bcdkeepknown4');
    });

    it('has log, metrics, limits, memory, secrets, network and time', async () => {
      const host = hostWith({
        secrets: { OTHER: 'not ours' },
        fetch: { 'https://api.test/x': { status: 201, headers: { 'x-h': 'v' }, body: 'fetched' } },
      });
      const pack = await openPackage(tier, {
        host,
        config: { word: 'w' },
        secrets: { KEY: 's3cret', HIDDEN: 'x' },
        permissions: {
          request: { headers: 'write' },
          limits: true,
          secrets: ['KEY'],
          kv: { maxBytes: 1_000 },
          net: [{ host: 'api.test', reason: 'test' }],
        },
        hooks: `
          setup(config, host) {
            return { host, hits: host.metrics.counter('acme_hits', 'Hits.', ['kind']),
              limiter: host.limits.limiter({ name: 'l', windows: [{ requests: 1, windowMs: 1000 }], store: 'local' }) };
          },
          async onRequest(exchange, config, { host, hits, limiter }) {
            hits.series('a').add(2);
            host.log.info('seen', { id: exchange.id });
            await host.kv.set('k', 'v');
            const kept = await host.kv.get('k');
            await host.kv.delete('k');
            const [one, two] = [await limiter.take('x'), await limiter.take('x')];
            const fetched = await host.fetch('https://api.test/x', { method: 'POST', body: new Uint8Array(1) });
            exchange.request.headers.set('x-result', JSON.stringify([
              config.word, host.secrets.get('KEY'), kept, await host.kv.get('k') ?? 'gone', one.isAllowed, two.isAllowed,
              fetched.status, fetched.headers['x-h'], new TextDecoder().decode(fetched.body), host.clock.wallMs(),
              host.binding.plugin,
            ]));
          }`,
      });
      const running = await pack.start();

      const { sent, error } = await running.send();

      assert.equal(error, undefined);
      const [word, secret, kept, gone, one, two, status, header, body, wallMs, plugin] = JSON.parse(
        sent?.headers.get('x-result') ?? '[]',
      );
      assert.deepEqual([word, secret, kept, gone, one, two], ['w', 's3cret', 'v', 'gone', true, false]);
      assert.deepEqual([status, header, body, plugin], [201, 'v', 'fetched', 'acme/test']);
      // A guest counts on from the last message by its own clock.
      assert.ok(Math.abs(wallMs - host.clock.wallMs()) < 2_000, String(wallMs));
      assert.equal(host.metrics.total('acme_hits', 'a'), 2);
      assert.deepEqual(
        host.logs.map(({ message }) => message),
        ['seen'],
      );
    });

    it('finds who calls and says so, in stage authenticate alone', async () => {
      const consumers = fakeConsumers({ username: 'alice', credentials: [{ type: 'jwt', key: 'iss', secret: 's' }] });
      const hooks = `
        async onRequest(exchange) {
          const found = await exchange.consumers.findByCredential('jwt', 'iss');
          exchange.request.headers.set('x-secret', String(found.credential.data.secret));
          exchange.identify(found);
        }`;
      const permissions = { identify: true, consumers: 'read', request: { headers: 'write' } } as const;
      const rightful = await openPackage(tier, { stage: 'authenticate', permissions, hooks });
      const usurper = await openPackage(tier, { stage: 'transform', permissions, hooks });

      const known = await (await rightful.start()).send({ request: { consumers } });
      const refused = await (await usurper.start()).send({ request: { consumers } });

      assert.deepEqual([known.status, known.exchange.consumer?.username], [200, 'alice']);
      assert.equal(known.sent?.headers.get('x-secret'), 's');
      assert.deepEqual([refused.status, refused.exchange.consumer], [500, undefined]);
      assert.equal((await usurper.incident('denied')).hook, 'onRequest');
    });

    it('refuses whatever was not granted, and tells', async () => {
      const attempts: Readonly<Record<string, string>> = {
        'read a header': "exchange.request.headers.get('authorization')",
        'write a header': "exchange.request.headers.set('x-other', '1')",
        'append to a header': "exchange.request.headers.append('x-other', '1')",
        'delete a header': "exchange.request.headers.delete('authorization')",
        'say who calls by header': "exchange.request.headers.set('X-Consumer-Id', '1')",
        'choose the host': "exchange.request.headers.set('host', 'evil.test')",
        'frame the message': "exchange.request.headers.set('content-length', '1')",
        'read the path': 'exchange.request.path',
        'write the path': "exchange.request.path = '/admin'",
        'read the query': 'exchange.request.query',
        'write the query': "exchange.request.query = 'a=1'",
        'read the body': 'await exchange.request.readBody()',
        'write the body': 'exchange.request.setBody(new Uint8Array(1))',
        answer: 'exchange.respond(200)',
        'read who calls': 'exchange.consumer',
        'find who calls': "await exchange.consumers.findByCredential('key-auth', 'x')",
        'write the id': "exchange.id = 'mine'",
        fetch: "await state.host.fetch('https://other.test/')",
        'fetch by another scheme': "await state.host.fetch('file:///etc/passwd')",
        'read a secret': "state.host.secrets.get('HIDDEN')",
        'keep values': "await state.host.kv.set('a', 'b')",
        'keep limits': "await state.host.limits.limiter({ name: 'l', windows: [], store: 'local' }).take('a')",
      };
      const names = Object.keys(attempts);
      const cases = names.map((name, index) => `if (config.attempt === ${index}) { ${attempts[name]}; }`).join('\n');
      const hooks = `setup: (config, host) => ({ host }), async onRequest(exchange, config, state) { ${cases} }`;
      const permissions = {
        request: { headers: { read: ['x-a'], write: ['x-acme-*'] } },
        net: [{ host: 'api.test', reason: 'test' }],
      };
      const pack = await openPackage(tier, { permissions, hooks });
      for (const [attempt, name] of names.entries()) {
        const told = pack.incidents.length;

        const running = await pack.start({ attempt });
        const { status, reachedUpstream } = await running.send({ request: { headers: { authorization: 'k' } } });

        assert.deepEqual([name, status, reachedUpstream], [name, 500, false]);
        assert.deepEqual([name, ...pack.incidents.slice(told).map(({ kind }) => kind)].slice(0, 2), [name, 'denied']);
      }
    });

    it('gives no header that may not be read, not even in a list', async () => {
      const pack = await openPackage(tier, {
        permissions: { request: { headers: { read: ['x-a*'], write: ['x-out'] } } },
        hooks: `onRequest(exchange) { exchange.request.headers.set('x-out', JSON.stringify(exchange.request.headers.entries())); }`,
      });

      const { sent } = await (await pack.start()).send({
        request: { headers: { authorization: 'k', 'X-Ab': '1', cookie: 'c' } },
      });

      assert.equal(sent?.headers.get('x-out'), '[["x-ab","1"]]');
    });

    it('migrates a configuration, where the package can', async () => {
      const before = 'export const migrate = (config, from) => ({ ...config, from });';
      const able = await openPackage(tier, { before, hooks: 'onRequest() {}' });
      const unable = await openPackage(tier, { hooks: 'onRequest() {}' });

      assert.deepEqual(await able.sandbox.migrate?.({ a: 1 }, 3), { a: 1, from: 3 });
      assert.equal(unable.sandbox.migrate, undefined);
    });

    it('does not open what is broken', async () => {
      const open = (hooks: string, more: object = {}) => openPackage(tier, { hooks, ...more });

      await assert.rejects(open('onResponse() {}'), /expected the hook onRequest/);
      await assert.rejects(open('onRequest() {}, onLog() {}'), /onLog is not in its manifest/);
      await assert.rejects(open('onRequest() {}', { before: 'export {' }), /Unexpected|expected|Invalid/i);
      await assert.rejects(open('onRequest() {}', { before: 'throw new Error("at load");' }), /at load/);
      await assert.rejects(
        open('onRequestChunk() {}', { names: ['onRequestChunk'] }),
        /onRequestChunk needs the permission request.body/,
      );
    });

    it('refuses a set-up as the plugin does', async () => {
      const pack = await openPackage(tier, { hooks: `setup() { throw new Error('no good'); }, onRequest() {}` });

      await assert.rejects(pack.start(), /no good/);
    });
  });
}
