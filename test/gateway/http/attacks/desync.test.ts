// Attacks on who gets which answer: bytes behind, before and between messages, on connections that are used again.
// Must not test the framing of one message: framing.test.ts does.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { makePlugin, openRaw, type RawClient } from '../../../support/engine.ts';
import { createStage } from '../../../support/proxied-api.ts';
import { until } from '../../../support/until.ts';
import { openArena } from '../../../support/wire/arena.ts';
import { startTcpOrigin } from '../../../support/wire/origin.ts';

const FORGED = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged';
const UPGRADE = 'GET /up HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n';

const answerOf = (body: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

describe('an answer', () => {
  const stage = createStage();

  afterEach(() => stage.close());

  async function ask(raw: RawClient, target: string): Promise<string> {
    const before = raw.text().length;
    raw.write(`GET ${target} HTTP/1.1\r\nHost: h\r\n\r\n`);
    await raw.waitFor(new RegExp(`^[\\s\\S]{${before}}HTTP/1\\.1 [\\s\\S]*?\r\n\r\n[\\s\\S]+`));
    return raw.text().slice(before);
  }

  // CVE-2026-48931, CVE-2026-6733.
  for (const delayMs of [0, 1, 2, 3, 4, 5, 20, 60]) {
    it(`that nobody asked for, ${delayMs} ms behind one, reaches nobody`, async () => {
      let sent = 0;
      const origin = await stage.open(
        startTcpOrigin((socket, text) => {
          socket.write(answerOf(/GET (\S+) [\s\S]*$/.exec(text.slice(text.lastIndexOf('GET ')))?.[1] ?? ''));
          const forge = (): unknown => socket.write(FORGED, () => sent++);
          if (delayMs === 0) setImmediate(forge);
          else setTimeout(forge, delayMs);
        }),
      );
      const gateway = await stage.publish(origin.url, { api: { retries: { attempts: 0 } } });
      const raw = await openRaw(gateway.port);

      for (let round = 0; round < 5; round++) {
        const target = `/${round}`;
        assert.ok((await ask(raw, target)).endsWith(target));
        await until(() => sent > round);
      }

      assert.doesNotMatch(raw.text(), /forged/);
      assert.equal(origin.connections.length, 5);
      raw.socket.destroy();
    });
  }

  it('is not taken from what stands behind another, when the pool is used up and reads end between the two', async () => {
    // A read takes 64 KiB, and what is forged begins with the next one.
    const head = 'HTTP/1.1 200 OK\r\nContent-Length: 65494\r\n\r\n';
    const whole = head.padEnd(65_536, 'x');
    let answer: (() => void) | undefined;
    const origin = await stage.open(
      startTcpOrigin((socket, _, last) => {
        const [, target = ''] = /GET (\S+)/.exec(last) ?? [];
        if (target === '/split') answer = () => socket.write(whole + FORGED);
        else if (target !== '/hold') socket.write(answerOf(target));
      }),
    );
    assert.equal(whole.length - head.length, Number(/\d{5}/.exec(head)));
    const gateway = await stage.publish(origin.url, { api: { retries: { attempts: 0 } } });
    const holders = await Promise.all(Array.from({ length: 511 }, () => openRaw(gateway.port)));
    for (const one of holders) one.write('GET /hold HTTP/1.1\r\nHost: h\r\n\r\n');
    await until(() => origin.connections.length === 511);
    const [split, waiting] = [await openRaw(gateway.port), await openRaw(gateway.port)];

    split.write('GET /split HTTP/1.1\r\nHost: h\r\n\r\n');
    await until(() => answer !== undefined);
    waiting.write('GET /waiting HTTP/1.1\r\nHost: h\r\n\r\n');
    // Long enough to be waiting.
    await new Promise((resolve) => setTimeout(resolve, 50));
    answer?.();
    const text = await waiting.waitFor(/\r\n\r\n[\s\S]+/);

    assert.doesNotMatch(text, /forged/);
    for (const { socket } of [...holders, split, waiting]) socket.destroy();
  }).timeout(20_000);

  it('is one and whole, or none, when the upstream dies behind any byte of it and the request is repeated', async () => {
    const whole = answerOf('hello');
    const origin = await stage.open(
      startTcpOrigin((socket, _, last) => {
        const cut = Number(/GET \/(\d+)/.exec(last)?.[1] ?? 0);
        socket.write(whole.slice(0, cut), () => (cut % 2 === 0 ? socket.end() : socket.resetAndDestroy()));
      }),
    );
    const gateway = await stage.publish(origin.url, { api: { retries: { attempts: 3 } } });

    for (let cut = 0; cut <= whole.length; cut++) {
      const raw = await openRaw(gateway.port);
      raw.write(`GET /${cut} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`);
      const { text } = await raw.closed();

      assert.ok(text.split('HTTP/1.1 ').length <= 2, text);
      if (text.startsWith('HTTP/1.1 200'))
        assert.ok(whole.endsWith(text.slice(text.indexOf('\r\n\r\n'))) || cut < whole.length);
    }
  }).timeout(20_000);

  it('to an upgrade that the upstream declines leaves nothing of the other protocol with it', async () => {
    const arena = await stage.open(openArena());

    const { requests, statuses } = await arena.attack(`${UPGRADE}${SMUGGLED}`);

    // What follows a declined upgrade is HTTP: a request of its own, to be judged by itself.
    assert.deepEqual(statuses, [200, 200, 200]);
    assert.deepEqual(
      arena.requests().map(({ target }) => target),
      [
        '/up',
        '/smuggled',
        ...arena
          .requests()
          .slice(2)
          .map(({ target }) => target),
      ],
    );
    assert.ok(requests.length >= 1);
  });

  it('never comes over a connection that was upgraded', async () => {
    const origin = await stage.open(
      startTcpOrigin((socket, _, last) => {
        if (last.includes('Upgrade:'))
          socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
        else if (last.startsWith('GET')) socket.write(answerOf('plain'));
        else socket.write(FORGED);
      }),
    );
    const gateway = await stage.publish(origin.url);
    const raw = await openRaw(gateway.port);
    raw.write(`${UPGRADE}tunnel`);
    await raw.waitFor(/forged$/);
    const [upgraded] = origin.connections;
    assert.ok(upgraded);

    const closed = once(upgraded, 'close');
    raw.socket.end();
    await closed;
    const plain = await openRaw(gateway.port);

    assert.ok((await ask(plain, '/')).endsWith('plain'));
    assert.equal(origin.connections.length, 2);
    plain.socket.destroy();
  });

  for (const status of [401, 403, 404, 405, 413, 429, 503]) {
    for (const isHeldBack of [false, true]) {
      it(`of ${status} leaves no body behind to be read as a request${isHeldBack ? ', also when the body comes later' : ''}`, async () => {
        const refuse = makePlugin('refuse', {
          onRequest: (exchange) => {
            if (!exchange.request.path.startsWith('/probe')) exchange.respond(status, {}, 'no');
          },
        });
        const arena = await stage.open(openArena({ plugins: [refuse] }));
        const head = `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n`;

        const { requests, statuses } = isHeldBack
          ? await answerThenBody(arena, head)
          : await arena.attack(head + SMUGGLED);

        assert.deepEqual(requests, []);
        assert.deepEqual(statuses, [status, 200]);
      });
    }
  }

  /** Sends the body once the answer has come, and a probe behind it. */
  async function answerThenBody(
    arena: Awaited<ReturnType<typeof openArena>>,
    head: string,
  ): Promise<{ readonly requests: readonly unknown[]; readonly statuses: readonly number[] }> {
    const raw = await openRaw(arena.gateway.port);
    raw.write(head);
    await raw.waitFor(/no$/);
    raw.write(`${SMUGGLED}GET /probe HTTP/1.1\r\nHost: h\r\n\r\n`);
    const text = await raw.waitFor(/GET \/probe$/);
    raw.socket.destroy();
    const statuses = [...text.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, one]) => Number(one));
    return { requests: arena.requests().filter(({ target }) => target !== '/probe'), statuses };
  }

  it('goes with one request, though a plugin replaces its body twice', async () => {
    const twice = makePlugin('twice', {
      onRequest: async ({ request }) => {
        const body = await request.readBody();
        request.setBody(Buffer.concat([body, body]));
        request.setBody(Buffer.from(`${Buffer.from(request.hasBody ? await request.readBody() : body)}!`));
      },
    });
    const arena = await stage.open(openArena({ plugins: [twice] }));

    const { requests, statuses } = await arena.attack(
      `POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`,
    );

    assert.deepEqual(statuses, [200, 200]);
    assert.deepEqual(
      requests.map(({ body }) => body),
      [`${SMUGGLED}${SMUGGLED}!`],
    );
  });

  it('is never sent for a POST twice, whenever the upstream closes its idle connections', async () => {
    // The closing meets the reuse at every moment around it.
    const seen = new Map<string, number>();
    const origin = await stage.open(
      startTcpOrigin((socket: Socket, _, last) => {
        const [, id = ''] = /(?:GET|POST) \/(\S+)/.exec(last) ?? [];
        seen.set(id, (seen.get(id) ?? 0) + 1);
        socket.write(answerOf(id));
        const close = (): void => {
          if (Number(id) % 2 === 0) socket.end();
          // Node can neither reset nor close what is ending already.
          else if (!socket.writableEnded) socket.resetAndDestroy();
        };
        setTimeout(close, Number(id) % 11).unref();
      }),
    );
    const gateway = await stage.publish(origin.url, { api: { retries: { attempts: 3 } } });
    const statuses = { GET: new Set<string>(), POST: new Set<string>() };

    for (let id = 0; id < 220; id++) {
      const method = id % 3 === 0 ? 'POST' : 'GET';
      const raw = await openRaw(gateway.port);
      const framing = method === 'POST' ? 'Content-Length: 1\r\n\r\nx' : '\r\n';
      raw.write(`${method} /${id} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n${framing}`);
      statuses[method].add((await raw.closed()).text.slice(9, 12));
      await new Promise((resolve) => setTimeout(resolve, id % 13));
    }

    assert.deepEqual([...statuses.GET], ['200']);
    for (let id = 0; id < 220; id += 3)
      assert.ok((seen.get(String(id)) ?? 0) <= 1, `POST ${id} came ${seen.get(String(id))} times`);
    for (const status of statuses.POST) assert.match(status, /^(?:200|502)$/);
  }).timeout(20_000);
});
