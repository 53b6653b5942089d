// Attacks on framing, by raw sockets: each is refused with the connection closed, or reaches the upstream as exactly one request.
// Must not trust a parser to tell: the origin keeps every byte it gets.
import assert from 'node:assert/strict';
import { openRaw, startGateway, type TestGateway } from '../../support/engine.ts';
import { makeApi, makeRoute, putAll } from '../../support/entities.ts';
import { startTcpOrigin, type TcpOrigin } from '../../support/origin.ts';

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n';
const CHUNKED = `${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`;

/** Refused: 4xx, the connection closed, nothing at the origin. */
const REFUSED: readonly (readonly [string, string])[] = [
  ['both framings', `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKED}`],
  ['two equal lengths', `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello${SMUGGLED}`],
  [
    'two different lengths',
    `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 0\r\n\r\nhello${SMUGGLED}`,
  ],
  ...['+5', '-5', '0x5', '5_0', '010', '5, 5', '5,', ',', '', '5 5', '18446744073709551621', '5;'].map(
    (value): [string, string] => [
      `Content-Length: ${value}`,
      `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${value}\r\n\r\nhello${SMUGGLED}`,
    ],
  ),
  ...[
    ',chunked',
    'gzip, chunked',
    'chunked, identity',
    'identity',
    'xchunked',
    '\u000bchunked',
    'chunked, chunked',
    '"chunked"',
  ].map((value): [string, string] => [
    `Transfer-Encoding: ${JSON.stringify(value)}`,
    `POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: ${value}\r\n\r\n${CHUNKED}`,
  ]),
  [
    'two Transfer-Encodings',
    `POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKED}`,
  ],
  ['Transfer-Encoding in HTTP/1.0', `POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKED}`],
  ['a folded Transfer-Encoding', `POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n chunked\r\n\r\n${CHUNKED}`],
  ['a blank before the colon', `POST / HTTP/1.1\r\nHost: h\r\nContent-Length : 5\r\n\r\nhello`],
  ['an empty header name', 'GET / HTTP/1.1\r\nHost: h\r\n: x\r\n\r\n'],
  ['a header line without a colon', 'GET / HTTP/1.1\r\nHost: h\r\nnonsense\r\n\r\n'],
  ['a NUL in a value', 'GET / HTTP/1.1\r\nHost: h\r\nX-A: a\u0000b\r\n\r\n'],
  ['a bare CR in a value', 'GET / HTTP/1.1\r\nHost: h\r\nX-A: a\rb\r\n\r\n'],
  ['bare LF line ends', 'GET / HTTP/1.1\nHost: h\n\n'],
  ['a bare CR before the end', `GET / HTTP/1.1\r\nHost: h\r\n\rX${SMUGGLED}`],
  [
    'a chunk size with a prefix',
    'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nhi\r\n0\r\n\r\n',
  ],
  ['a negative chunk size', 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nhi\r\n0\r\n\r\n'],
  ['no Host', 'GET / HTTP/1.1\r\n\r\n'],
  ['two Hosts', 'GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n'],
  ...['a@b', 'a/x?', 'a#', 'a b', 'h:99999', 'h:x', '[::1', ''].map((host): [string, string] => [
    `Host: ${host}`,
    `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
  ]),
  ['two Authorizations', 'GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Basic eA==\r\nAuthorization: Basic eQ==\r\n\r\n'],
  ['another host in absolute-form', 'GET http://evil/ HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['user info in absolute-form', 'GET http://h@evil/ HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['asterisk-form', 'OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['CONNECT', 'CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n'],
  ['TRACE', 'TRACE / HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['an unknown version', 'GET / HTTP/1.7\r\nHost: h\r\n\r\n'],
  [
    'an upgrade with a body',
    `POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  ],
  ['a fragment', 'GET /a#/../b HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['an unclear expectation', 'POST / HTTP/1.1\r\nHost: h\r\nExpect: y 100-continue\r\nContent-Length: 5\r\n\r\nhello'],
  ['101 header lines', `GET / HTTP/1.1\r\nHost: h\r\n${'a:b\r\n'.repeat(100)}\r\n`],
  [
    '3000 header lines that hide the framing',
    `GET / HTTP/1.1\r\nHost: h\r\n${'a:b\r\n'.repeat(3000)}Content-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  ],
  ['a head above its bound', `GET / HTTP/1.1\r\nHost: h\r\nX-A: ${'a'.repeat(40_000)}\r\n\r\n`],
];

/** Accepted, and exactly one request at the origin, well framed. */
const ONE: readonly (readonly [string, string])[] = [
  ...['GET', 'HEAD', 'DELETE', 'OPTIONS', 'PUT', 'POST', 'PATCH'].map((method): [string, string] => [
    `a chunked ${method} that hides a request`,
    `${method} / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKED}`,
  ]),
  ...['GET', 'DELETE', 'OPTIONS'].map((method): [string, string] => [
    `a ${method} with a length that hides a request`,
    `${method} / HTTP/1.1\r\nHost: h\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  ]),
  [
    'a declined upgrade with a body',
    `POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  ],
  [
    'framing named by Connection',
    `POST / HTTP/1.1\r\nHost: h\r\nConnection: Content-Length, Host\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  ],
];

describe('framing', () => {
  let origin: TcpOrigin;
  let gateway: TestGateway;

  beforeEach(async () => {
    origin = await startTcpOrigin((socket, text) => {
      const { count, isWhole } = readStrictly(text);
      if (isWhole && count > 0) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    });
    gateway = await startGateway();
    const api = makeApi({
      name: 'api',
      upstream: origin.url,
      retries: { attempts: 0 },
      routes: [makeRoute({ paths: ['/'] })],
    });
    await gateway.apply(putAll({ apis: [api] }));
  });

  afterEach(async () => {
    await gateway.close();
    await origin.close();
  });

  for (const [what, bytes] of REFUSED) {
    it(`refuses ${what}`, async () => {
      const raw = await openRaw(gateway.port);

      raw.write(bytes);
      const text = await raw.waitFor(/^HTTP\/1\.1 4\d\d [\s\S]*\}/);

      assert.match(text, /application\/problem\+json/);
      assert.equal(origin.received(), '');
      assert.equal(text.split('HTTP/1.1 ').length - 1, 1, 'one answer only');
      await answersAnother(gateway);
      raw.socket.destroy();
    });
  }

  for (const [what, bytes] of ONE) {
    it(`passes ${what} on as one request`, async () => {
      const raw = await openRaw(gateway.port);

      raw.write(bytes);
      await raw.waitFor(/^HTTP\/1\.1 200 [\s\S]*\r\n\r\n/);

      const { count, isWhole } = readStrictly(origin.received());
      assert.deepEqual({ count, isWhole }, { count: 1, isWhole: true }, origin.received());
      raw.socket.destroy();
    });
  }

  it('answers pipelined requests in order', async () => {
    const raw = await openRaw(gateway.port);

    raw.write(
      'GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b//c HTTP/1.1\r\nHost: h\r\n\r\nGET /d HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n',
    );
    const { text } = await raw.closed();

    assert.deepEqual(text.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 200', 'HTTP/1.1 400', 'HTTP/1.1 200']);
  });

  it('cuts off a head that does not come in time, and keeps serving others', async () => {
    const slow = await startGateway({ headerTimeoutMs: 600 });
    const raw = await openRaw(slow.port);

    raw.write('GET / HTTP/1.1\r\nHost: h\r\nX-A: ');
    const { text } = await raw.closed();

    assert.match(text, /^HTTP\/1\.1 408 /);
    await slow.close();
  });

  it('closes the connection after an answer that left a large body unread', async () => {
    const raw = await openRaw(gateway.port);

    raw.write(`POST /a//b HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\n${SMUGGLED}`);
    const { text } = await raw.closed();

    assert.match(text, /^HTTP\/1\.1 400 [\s\S]*connection: close/i);
    assert.equal(text.split('HTTP/1.1 ').length - 1, 1);
    assert.equal(origin.received(), '');
  });
});

async function answersAnother(gateway: TestGateway): Promise<void> {
  const response = await fetch(`${gateway.url}/a//b`);
  await response.text();
  assert.equal(response.status, 400);
}

/** Counts requests by the letter of RFC 9112, so that anything hidden in a body would show. */
function readStrictly(text: string): { readonly count: number; readonly isWhole: boolean } {
  let count = 0;
  let rest = text;
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n');
    if (end === -1) return { count, isWhole: false };
    const head = rest.slice(0, end);
    count++;
    rest = rest.slice(end + 4);
    const length = /^content-length: (\d+)$/im.exec(head)?.[1];
    const isChunked = /^transfer-encoding: chunked$/im.test(head);
    assert.ok(!(length !== undefined && isChunked), 'both framings');
    if (length !== undefined) {
      if (rest.length < Number(length)) return { count, isWhole: false };
      rest = rest.slice(Number(length));
    }
    while (isChunked) {
      const match = /^([0-9a-f]+)\r\n/i.exec(rest);
      if (!match) return { count, isWhole: false };
      const size = Number.parseInt(match[1] ?? '0', 16);
      if (rest.length < match[0].length + size + 2) return { count, isWhole: false };
      rest = rest.slice(match[0].length + size + 2);
      if (size === 0) break;
    }
  }
  return { count, isWhole: true };
}
