// Every pair of protocols through the whole pipeline, and upstreams that are configured to speak HTTP/2.
// Must not test one side alone: server/ and test/gateway/http/upstream/h2 do.
import assert from 'node:assert/strict';
import type { ClientHttp2Session } from 'node:http2';
import type { Api, Upstream } from '../../../../gateway/core/model.ts';
import { startGateway, type TestGateway } from '../../../support/engine.ts';
import { makeApi, makeRoute, makeUpstream, putAll } from '../../../support/entities.ts';
import { until } from '../../../support/until.ts';
import { ask, openSession } from '../../../support/wire/h2-client.ts';
import { echo, type H2Origin, startH2Origin } from '../../../support/wire/h2-origin.ts';

describe('HTTP/2 through the gateway', () => {
  const closers: (() => unknown)[] = [];
  let gateway: TestGateway;
  let session: ClientHttp2Session;

  beforeEach(async () => {
    gateway = await startGateway();
    session = openSession(gateway.url);
    closers.push(
      () => gateway.close(),
      () => session.destroy(),
    );
  });
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  async function serve(origin: H2Origin, api: Partial<Api> = {}, upstreams: readonly Upstream[] = []): Promise<void> {
    closers.push(() => origin.close());
    const made = makeApi({ name: 'api', upstream: origin.url, routes: [makeRoute({ paths: ['/'] })], ...api });
    await gateway.apply(putAll({ upstreams: [...upstreams], apis: [made] }));
  }

  it('takes HTTP/2 to HTTP/2, with trailers, 103 and what says who calls', async () => {
    const origin = await startH2Origin((stream) => {
      stream.additionalHeaders({ ':status': 103, link: '</a>' });
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '1' }));
      stream.pipe(stream);
    });
    await serve(origin);

    const answer = await ask(session, { ':method': 'POST', ':path': '/a', te: 'trailers' }, 'hello');

    assert.equal(answer.status, 200);
    assert.equal(answer.headers.via, '2 sallyport');
    assert.equal(answer.body.toString(), 'hello');
    assert.equal(answer.trailers['x-sum'], '1');
    assert.equal(answer.informational[0]?.['link'], '</a>');
    const fields = origin.seen[0]?.fields;
    assert.equal(fields?.[':authority'], `127.0.0.1:${origin.port}`);
    assert.equal(fields?.via, '2 sallyport');
    assert.equal(fields?.['x-forwarded-for'], '127.0.0.1');
  });

  it('takes HTTP/1.1 to HTTP/2', async () => {
    const origin = await startH2Origin(echo);
    await serve(origin, { preserveHost: true });

    const answer = await fetch(`${gateway.url}/a`, { method: 'POST', body: 'hello' });

    assert.equal(await answer.text(), 'hello');
    assert.equal(answer.headers.get('via'), '2 sallyport');
    assert.equal(origin.seen[0]?.fields[':authority'], `127.0.0.1:${gateway.port}`);
    assert.equal(origin.seen[0]?.fields.via, '1.1 sallyport');
  });

  it('keeps a response that is a head only what it is', async () => {
    const origin = await startH2Origin((stream) =>
      stream.respond({ ':status': 200, 'grpc-status': '0' }, { endStream: true }),
    );
    await serve(origin);

    assert.equal((await ask(session, { te: 'trailers' })).isHeadOnly, true);
  });

  it('resets the stream of a client when the target resets its own', async () => {
    const origin = await startH2Origin((stream) => {
      stream.respond({ ':status': 200 });
      stream.write('half', () => stream.destroy(new Error('broken')));
    });
    await serve(origin);

    const answer = await ask(session);

    assert.equal(answer.status, 200);
    assert.notEqual(answer.resetCode, 0);
  });

  it('resets the stream to the target when the client resets its own', async () => {
    let code: number | undefined;
    const origin = await startH2Origin((stream) => stream.on('close', () => (code = stream.rstCode)));
    await serve(origin);
    const stream = session.request({});
    stream.on('error', () => undefined);
    await until(() => origin.seen.length === 1);
    const resetMs = performance.now();
    stream.close(8);

    await until(() => code !== undefined);
    assert.equal(code, 8);
    assert.ok(performance.now() - resetMs < 100);
  });

  it('goes on asking a target that refuses streams', async () => {
    const refusing = await startH2Origin((stream) => stream.close(7));
    const targets = [{ host: '127.0.0.1', port: refusing.port, weight: 100 }];
    const healthChecks = { passive: { failures: 1, ejectMs: 60_000 } };
    const upstream = makeUpstream({ name: 'one', protocol: 'h2c', targets, healthChecks });
    await serve(refusing, { upstream: { name: 'one' }, retries: { attempts: 0 } }, [upstream]);

    const answers = [await ask(session), await ask(session)];

    assert.deepEqual(
      answers.map(({ status }) => status),
      [503, 503],
    );
    assert.equal(refusing.seen.length, 4);
  });

  it('tries another target when one refuses the stream', async () => {
    const refusing = await startH2Origin((stream) => stream.close(7));
    const taking = await startH2Origin(echo);
    closers.push(() => taking.close());
    const targets = [refusing, taking].map(({ port }) => ({ host: '127.0.0.1', port, weight: 100 }));
    await serve(refusing, { upstream: { name: 'two' } }, [makeUpstream({ name: 'two', protocol: 'h2c', targets })]);

    const answers = await Promise.all([1, 2, 3, 4].map(() => ask(session, { ':method': 'DELETE' })));

    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200, 200],
    );
  });

  it('checks the health of targets as it speaks to them', async () => {
    const origin = await startH2Origin((stream) => stream.respond({ ':status': 503 }, { endStream: true }));
    const check = {
      path: '/health',
      intervalMs: 5,
      timeoutMs: 1_000,
      healthyStatuses: [200],
      healthyAfter: 1,
      unhealthyAfter: 1,
    };
    const upstream = makeUpstream({
      name: 'checked',
      protocol: 'h2c',
      targets: [{ host: '127.0.0.1', port: origin.port, weight: 100 }],
      healthChecks: { active: check, passive: { failures: 0, ejectMs: 1 } },
    });
    await serve(origin, { upstream: { name: 'checked' } }, [upstream]);

    await until(() => gateway.engine.health()[0]?.isHealthy === false);

    assert.equal((await ask(session)).status, 503);
    assert.equal(origin.seen[0]?.fields[':path'], '/health');
  });
});
