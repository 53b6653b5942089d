// Ways around a client certificate: connections for other hosts, from before a change, resumed, or in clear.
// Must not test whose certificate passes: client-certificate.test.ts does.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { makeRoute } from '../../../support/entities.ts';
import { openSecure } from '../../../support/wire/secure-gateway.ts';
import { type AskingStage, alice, codeOf, openAskingStage, policy, shownBy } from './client-certificates.ts';

describe('client certificates', () => {
  let stage: AskingStage;

  beforeEach(async () => {
    stage = await openAskingStage();
  });

  afterEach(() => stage.close());

  it('refuses requests for a host whose clients are asked for other certificates than this connection was', async () => {
    await stage.publish(
      stage.apiFor('a.test', '/', policy()),
      stage.apiFor('b.test', '/'),
      stage.apiFor('c.test', '/', policy()),
    );
    const open = await openSecure(stage.gateway.tlsPort, { servername: 'b.test' });

    const [fine, misdirected] = [await open.ask('b.test'), await open.ask('a.test')];

    assert.deepEqual([codeOf(fine), misdirected.status, codeOf(misdirected)], ['ok', 421, 'MISDIRECTED_REQUEST']);
    assert.match(misdirected.head, /^connection: close$/im);
    // By the names that attacks use: another name, none at all, a mixed case, a name of nothing.
    for (const servername of ['b.test', '', 'B.Test', 'unknown.test']) {
      assert.equal(await stage.ask('a.test', alice, '/', servername), 'MISDIRECTED_REQUEST', servername);
    }
    assert.equal(await stage.ask('a.test', alice, '/', 'A.TEST.'), 'ok');
    // The same is asked there, and what needs nothing may be had by any name.
    assert.equal(await stage.ask('a.test', alice, '/', 'c.test'), 'ok');
    assert.equal(await stage.ask('b.test', alice, '/', 'a.test'), 'ok');
  });

  it('refuses the one misdirected stream of a connection that carries many', async () => {
    await stage.publish(stage.apiFor('a.test', '/', policy()), stage.apiFor('b.test', '/'));
    const session = connectHttp2(`https://127.0.0.1:${stage.gateway.tlsPort}`, {
      servername: 'b.test',
      rejectUnauthorized: false,
    });
    const askFor = async (host: string): Promise<number> => {
      const stream = session.request({ ':path': '/', ':authority': host });
      const [fields] = await once(stream, 'response');
      stream.resume();
      return fields[':status'];
    };

    const statuses = [await askFor('b.test'), await askFor('a.test'), await askFor('b.test')];
    session.destroy();

    assert.deepEqual(statuses, [200, 421, 200]);
  });

  it('wants a new connection when what is asked has changed under the open one', async () => {
    await stage.publish(stage.apiFor('a.test', '/'));
    const api = stage.apiFor('a.test', '/', policy());
    const open = await openSecure(stage.gateway.tlsPort, { servername: 'a.test', ...shownBy(alice) });
    assert.equal(codeOf(await open.ask('a.test')), 'ok');

    await stage.gateway.apply([
      {
        kind: 'api',
        id: api.id,
        after: { ...api, name: 'other', routes: [makeRoute({ hosts: ['a.test'], paths: ['/new'] })] },
      },
    ]);
    const stale = await open.ask('a.test', '/new');

    assert.equal(codeOf(stale), 'MISDIRECTED_REQUEST');
    assert.equal(await stage.ask('a.test', alice, '/new'), 'ok');
  });

  it('gives no tickets where it asks: every connection proves itself anew', async () => {
    await stage.publish(stage.apiFor('a.test', '/', policy()));
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const first = await openSecure(stage.gateway.tlsPort, { servername: 'a.test', maxVersion, ...shownBy(alice) });
      await first.ask('a.test');
      const session = first.socket.getSession();
      const second = await openSecure(stage.gateway.tlsPort, {
        servername: 'a.test',
        maxVersion,
        ...(session && { session }),
      });
      const isReused = second.socket.isSessionReused();
      const answer = await second.ask('a.test');
      first.close();
      second.close();

      assert.deepEqual([isReused, codeOf(answer)], [false, 'CLIENT_CERTIFICATE_REFUSED'], maxVersion);
    }
  });

  it('lets nobody around it by the port in clear', async () => {
    await stage.publish(
      stage.apiFor('a.test', '/', policy()),
      stage.apiFor('b.test', '/', policy({ mode: 'optional' })),
    );
    const askPlain = async (host: string): Promise<number> => {
      const { request } = await import('node:http');
      return new Promise((resolve, reject) => {
        const call = request({ port: stage.gateway.port, host: '127.0.0.1', headers: { host } }, (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        });
        call.on('error', reject);
        call.end();
      });
    };

    assert.deepEqual([await askPlain('a.test'), await askPlain('b.test')], [403, 200]);
  });
});
