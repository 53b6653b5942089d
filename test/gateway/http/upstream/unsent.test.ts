// A kept connection of which its target says or ends something in the moment of its reuse, before any of the request has left.
// Must not test what comes behind a request: early-answers.test.ts does.
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { openRaw, type RawClient, type TestGateway } from '../../../support/engine.ts';
import { createStage, type Stage } from '../../../support/proxied-api.ts';
import { startTcpOrigin, type TcpOrigin } from '../../../support/wire/origin.ts';

const STALE = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nSTALE';
const POST = 'POST /post HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n';
const CHUNKED = 'POST /chunked HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n';

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`;

describe('a request whose connection ends before it has left', () => {
  let stage: Stage;
  let origin: TcpOrigin;
  let gateway: TestGateway;
  let raw: RawClient;
  let target: Socket;

  beforeEach(async () => {
    stage = createStage();
    origin = await stage.open(
      startTcpOrigin((socket, _text, last) => {
        const path = /^[A-Z]+ (\S+)/.exec(last)?.[1] ?? '';
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`);
      }),
    );
    gateway = await stage.publish(origin.url, { api: { retries: { attempts: 1 } } });
    raw = await openRaw(gateway.port);
    raw.write(get('/warm'));
    await raw.waitFor(/\/warm$/);
    const [first] = origin.connections;
    assert.ok(first);
    target = first;
  });

  afterEach(() => stage.close());

  // What is written in one turn here is read in one turn by the gateway, in this order: the request waits for its end.
  it('is not answered by what the target said to nobody', async () => {
    raw.write(get('/own'));
    target.write(STALE);
    await raw.waitFor(/\/own$/);
    raw.write(get('/next'));
    const text = await raw.waitFor(/\/next$/);

    assert.doesNotMatch(text, /STALE/);
    assert.equal(origin.connections.length, 2);
  });

  it('is sent on another connection, even one that must not be done twice', async () => {
    raw.write(POST);
    target.end();
    const text = await raw.waitFor(/\/post$/);

    assert.match(text, /HTTP\/1\.1 200 OK\r\n(?:[^\r]+\r\n)*\r\n\/post$/);
    assert.equal(origin.received().split('POST /post').length - 1, 1);
  });

  it('is refused when its body was on its way, and no target is blamed', async () => {
    raw.write(CHUNKED);
    target.write(STALE);
    const text = await raw.waitFor(/UPSTREAM_BROKEN/);

    assert.doesNotMatch(text, /STALE/);
    assert.doesNotMatch(origin.received(), /chunked/);
  });
});
