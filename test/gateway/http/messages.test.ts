// What passes between client and upstream beside heads and bodies: early responses, trailers, expectations, old versions.
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { makePlugin, openRaw, startGateway, type TestGateway } from '../../support/engine.ts';
import { makeApi, makeBinding, makeRoute, putAll } from '../../support/entities.ts';
import { startTcpOrigin, type TcpOrigin } from '../../support/wire/origin.ts';

const API_ID = '7c1f0a52-5d0e-4f0b-9a55-0d1f6a5f2b10';

describe('a message', () => {
  let origin: TcpOrigin;
  let gateway: TestGateway;
  let onData: (socket: Socket, text: string) => void;

  beforeEach(async () => {
    onData = (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    origin = await startTcpOrigin((socket, text) => onData(socket, text));
    gateway = await startGateway({
      plugins: [makePlugin('guard', { onRequest: (exchange) => exchange.respond(401, {}, 'no') })],
    });
    await publish();
  });

  afterEach(async () => {
    await gateway.close();
    await origin.close();
  });

  async function publish(more: Parameters<typeof putAll>[0] = {}): Promise<void> {
    const api = makeApi({ id: API_ID, name: 'api', upstream: origin.url, routes: [makeRoute({ paths: ['/'] })] });
    await gateway.apply(putAll({ apis: [api], ...more }));
  }

  async function exchange(request: string, end: RegExp): Promise<string> {
    const raw = await openRaw(gateway.port);
    raw.write(request);
    const text = await raw.waitFor(end);
    raw.socket.destroy();
    return text;
  }

  describe('with an early response', () => {
    beforeEach(() => {
      onData = (socket) =>
        socket.write(
          'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
        );
    });

    it('relays it without what belongs to one hop', async () => {
      const text = await exchange('GET / HTTP/1.1\r\nHost: h\r\n\r\n', /ok$/);

      assert.match(text, /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a\.css>\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
    });

    it('leaves it out for HTTP/1.0, which knows none', async () => {
      const text = await exchange('GET / HTTP/1.0\r\nHost: h\r\n\r\n', /ok$/);

      assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
    });
  });

  describe('with trailers', () => {
    const REQUEST =
      'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\nX-Consumer-Id: evil\r\nx_credential_id: evil\r\nContent-Length: 9\r\nAuthorization: evil\r\n\r\n';

    it('passes those of a request on, but none that frames, authenticates or says who calls', async () => {
      onData = (socket, text) => {
        if (text.endsWith('0\r\nX-Sum: 1\r\n\r\n')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      };

      await exchange(REQUEST, /ok$/);

      assert.doesNotMatch(origin.received(), /evil/);
    });

    it('passes those of a response on to a client that reads trailers, and to no other', async () => {
      onData = (socket) =>
        socket.write(
          'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\nSet-Cookie: evil\r\n\r\n',
        );

      const told = await exchange('GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: TE\r\n\r\n', /\r\n\r\n$/);
      const untold = await exchange('GET / HTTP/1.1\r\nHost: h\r\n\r\n', /0\r\n\r\n$/);

      assert.match(told, /ok\r\n0\r\nX-Sum: 1\r\n\r\n$/);
      assert.match(untold, /ok\r\n0\r\n\r\n$/);
    });
  });

  describe('with an expectation', () => {
    const HEAD = 'POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n';

    it('asks the upstream first, and gives leave when it does', async () => {
      onData = (socket, text) => {
        if (text.endsWith('\r\n\r\n')) socket.write('HTTP/1.1 100 Continue\r\n\r\n');
        if (text.endsWith('hello')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      };
      const raw = await openRaw(gateway.port);

      raw.write(HEAD);
      await raw.waitFor(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
      raw.write('hello');
      await raw.waitFor(/HTTP\/1\.1 200 [\s\S]*ok$/);

      assert.match(origin.received(), /\r\nExpect: 100-continue\r\n\r\nhello$/);
      raw.socket.destroy();
    });

    it('gives leave after a while when the upstream says nothing', async () => {
      onData = (socket, text) => {
        if (text.endsWith('hello')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      };
      const raw = await openRaw(gateway.port);

      raw.write(HEAD);
      await raw.waitFor(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
      raw.write('hello');
      await raw.waitFor(/ok$/);

      raw.socket.destroy();
    });

    it('relays the refusal of the upstream without the body, and closes', async () => {
      onData = (socket) => socket.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno');
      const raw = await openRaw(gateway.port);

      raw.write(HEAD);
      const { text } = await raw.closed();

      assert.match(text, /^HTTP\/1\.1 413 [\s\S]*no$/);
      assert.doesNotMatch(text, /100 Continue/);
    });

    it('is answered at once when a plugin refuses, and the connection closes', async () => {
      await publish({ bindings: [makeBinding({ plugin: 'guard' })] });
      const raw = await openRaw(gateway.port);

      raw.write(HEAD);
      const { text } = await raw.closed();

      assert.match(text, /^HTTP\/1\.1 401 [\s\S]*\r\nConnection: close\r\n[\s\S]*no$/);
      assert.equal(origin.received(), '');
    });
  });

  describe('in HTTP/1.0', () => {
    it('ends by closing when its length is unknown', async () => {
      onData = (socket) => socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n');
      const raw = await openRaw(gateway.port);

      raw.write('GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n');
      const { text, hadReset } = await raw.closed();

      assert.doesNotMatch(text, /transfer-encoding/i);
      assert.match(text, /\r\nConnection: close\r\n\r\nok$/);
      assert.equal(hadReset, false);
    });

    it('keeps the connection when both sides can', async () => {
      const raw = await openRaw(gateway.port);

      raw.write('GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n');
      await raw.waitFor(/\r\nConnection: keep-alive\r\n\r\nok$/);
      raw.write('GET / HTTP/1.0\r\nHost: h\r\n\r\n');
      const { text } = await raw.closed();

      assert.match(text, /ok[\s\S]*\r\nConnection: close\r\n\r\nok$/);
    });
  });

  it('carries a Date also when the upstream sent none, and one only', async () => {
    const without = await exchange('GET / HTTP/1.1\r\nHost: h\r\n\r\n', /ok$/);
    onData = (socket) => socket.write('HTTP/1.1 200 OK\r\ndate: then\r\nContent-Length: 2\r\n\r\nok');
    const withOne = await exchange('GET / HTTP/1.1\r\nHost: h\r\n\r\n', /ok$/);

    assert.match(without, /\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n/);
    assert.equal(withOne.match(/^date:/gim)?.length, 1);
  });

  it('may begin after an empty line, and after no more than one', async () => {
    await exchange('\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n', /^HTTP\/1\.1 200 [\s\S]*ok$/);
    await exchange('\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n', /^HTTP\/1\.1 400 [\s\S]*\}$/);
  });

  it('is read in whatever pieces it arrives', async () => {
    onData = (socket, text) => {
      if (text.endsWith('0\r\n\r\n')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    };
    const whole =
      'POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n\r\n';
    for (let cut = 1; cut < whole.length; cut++) {
      const raw = await openRaw(gateway.port);
      raw.socket.setNoDelay(true);

      raw.write(whole.slice(0, cut));
      await new Promise((resolve) => setImmediate(resolve));
      raw.write(whole.slice(cut));
      await raw.waitFor(/^HTTP\/1\.1 200 [\s\S]*ok$/);

      raw.socket.destroy();
    }
    const bodies = origin.received().match(/(?<=\r\n\r\n)(?:\d\r\n\w+\r\n)+0\r\n\r\n/g) ?? [];
    assert.equal(bodies.length, whole.length - 1);
    for (const body of bodies) assert.equal(body.replace(/\d?\r\n/g, ''), 'abcde');
  });
});
