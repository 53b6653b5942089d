// How an answer is framed, whatever plugins and upstreams make of it.
// Must not test what passes through unchanged: test/gateway/core/proxy does.
import assert from 'node:assert/strict';
import { makePlugin, openRaw } from '../../../support/engine.ts';
import { createStage } from '../../../support/proxied-api.ts';
import { startTcpOrigin } from '../../../support/wire/origin.ts';

describe('an answer', () => {
  const stage = createStage();

  afterEach(() => stage.close());

  async function ask(
    answer: string,
    setStatus: number,
    request = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n',
  ): Promise<string> {
    const origin = await stage.open(startTcpOrigin((socket) => socket.write(answer)));
    const plugin = makePlugin('status', {
      onResponse: ({ response }) => {
        if (response && setStatus > 0) response.status = setStatus;
      },
    });
    const gateway = await stage.publishWith(origin.url, plugin);
    const raw = await openRaw(gateway.port);
    raw.write(request);
    raw.write('GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
    const { text, hadReset } = await raw.closed();
    return hadReset ? 'reset' : text;
  }

  it('whose body a plugin calls for, but that has none, is broken off: nobody waits for it for ever', async () => {
    assert.equal(await ask('HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', 200), 'reset');
  });

  it('to which a plugin gives a status without a body has none', async () => {
    const text = await ask('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello', 204);

    assert.match(text, /^HTTP\/1\.1 204 [^\r]*\r\n(?:[^\r]+\r\n)*\r\nHTTP\/1\.1 204 /);
    assert.doesNotMatch(text, /hello|content-length/i);
  });

  it('to HTTP/1.0 that asks both to keep and to close is the last', async () => {
    const text = await ask(
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
      0,
      'GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n',
    );

    assert.match(text, /\r\nConnection: close\r\n\r\nok$/);
  });
});
