// Attacks on framing, by raw sockets: each is refused with the connection closed, or reaches the upstream as exactly one request.
// Must not trust the gateway's reader to tell: the origin keeps every byte it gets, and reads it by the letter.
import assert from 'node:assert/strict';
import { type Arena, assertOne, assertRefused, openArena } from '../../../support/wire/arena.ts';

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n';
const CHUNKED = `${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`;

const post = (lines: string, rest: string): string => `POST / HTTP/1.1\r\nHost: h\r\n${lines}\r\n\r\n${rest}`;
const get = (lines: string): string => `GET / HTTP/1.1\r\nHost: h\r\n${lines}\r\n\r\n`;
const chunked = (chunks: string): string => post('Transfer-Encoding: chunked', chunks);

type Case = readonly [what: string, bytes: string];

const LENGTHS = [
  ...['+5', '-5', '0x5', '5_0', '010', '00', '5, 5', '5,', ',5', ',', '', '5 5', '5;', '5.0', '5e0', '\u00b2', '"5"'],
  ...['18446744073709551621', '9999999999999999', '4294967301\u0000'],
];
const CODINGS = [
  ...[
    ',chunked',
    'chunked,',
    'gzip, chunked',
    'chunked, identity',
    'identity',
    'xchunked',
    'chunkedx',
    'chunked, chunked',
  ],
  ...['"chunked"', 'chunked;q=1', '\u000bchunked', '\u0085chunked', '\u00a0chunked', 'chunk\ted', '', 'cow'],
];

const REFUSED: readonly Case[] = [
  ['both framings', post('Content-Length: 5\r\nTransfer-Encoding: chunked', CHUNKED)],
  ['both framings, the other way round', post('Transfer-Encoding: chunked\r\nContent-Length: 5', CHUNKED)],
  ['both framings, the length zero', post('Transfer-Encoding: chunked\r\nContent-Length: 0', CHUNKED)],
  ['two equal lengths', post('Content-Length: 5\r\nContent-Length: 5', `hello${SMUGGLED}`)],
  ['two different lengths', post('Content-Length: 5\r\ncontent-length: 0', `hello${SMUGGLED}`)],
  ...LENGTHS.map(
    (value): Case => [`Content-Length: ${JSON.stringify(value)}`, post(`Content-Length: ${value}`, `hello${SMUGGLED}`)],
  ),
  ...CODINGS.map(
    (value): Case => [`Transfer-Encoding: ${JSON.stringify(value)}`, post(`Transfer-Encoding: ${value}`, CHUNKED)],
  ),
  ['two Transfer-Encodings', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', CHUNKED)],
  ['two that differ', post('Transfer-Encoding: chunked\r\nTransfer-encoding: cow', CHUNKED)],
  ['Transfer-Encoding in HTTP/1.0', `POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKED}`],
  [
    'Transfer-Encoding in HTTP/1.0 that is kept',
    `POST / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKED}`,
  ],
  ['a folded Transfer-Encoding', post('Transfer-Encoding:\r\n chunked', CHUNKED)],
  ['a folded line before it', post('X-A: b\r\n\tTransfer-Encoding: chunked', CHUNKED)],
  ['a blank before the colon', post('Content-Length : 5', 'hello')],
  ['a tab before the colon', post('Transfer-Encoding\t: chunked', CHUNKED)],
  ['a blank before the name', `POST / HTTP/1.1\r\n Content-Length: 5\r\nHost: h\r\n\r\nhello`],
  ['a vertical tab in the name', post('Transfer\u000bEncoding: chunked', CHUNKED)],
  ['a NUL before the name', post('\u0000Transfer-Encoding: chunked', CHUNKED)],
  ['an empty name', get(': x')],
  ['an empty name and value', get(':')],
  ['an empty name before the framing', post(':\r\nContent-Length: 5', 'hello')],
  ...['\u0085', '\u0001', '\u007f', '"', '(', '/', '@', '[', '{', '\u00e9'].map(
    (char): Case => [`the name X${JSON.stringify(char)}Y`, get(`X${char}Y: z`)],
  ),
  ['a line without a colon', get('nonsense')],
  ['a NUL in a value', get('X-A: a\u0000b')],
  ['a bare CR in a value', get('X-A: a\rb')],
  ['a bare LF in a value', get('X-A: a\nTransfer-Encoding: chunked')],
  ['DEL in a value', get('X-A: a\u007fb')],
  ['bare LF line ends', 'GET / HTTP/1.1\nHost: h\n\n'],
  ['bare CR line ends', 'GET / HTTP/1.1\rHost: h\r\r'],
  ['a bare LF at the end of the head', `GET / HTTP/1.1\r\nHost: h\r\n\n${SMUGGLED}`],
  ['a bare CR before the end', `GET / HTTP/1.1\r\nHost: h\r\n\rX${SMUGGLED}`],
  ['CR CR LF', `GET / HTTP/1.1\r\nHost: h\r\r\n\r\n${SMUGGLED}`],
  ['two empty lines before it', `\r\n\r\n${SMUGGLED}`],
  ['a blank before the method', ` GET / HTTP/1.1\r\nHost: h\r\n\r\n`],
  ['two blanks between', 'GET  / HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['a tab between', 'GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['a blank at the end of the line', 'GET / HTTP/1.1 \r\nHost: h\r\n\r\n'],
  ['a blank in the target', 'GET /a b HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['a method that is no token', 'GE/T / HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['HTTP/0.9', 'GET /\r\n\r\n'],
  ...[
    'HTTP/1.7',
    'HTTP/2.0',
    'HTTP/1.10',
    'HTTP/01.1',
    'HTTP/1,1',
    'http/1.1',
    'HTTP/1.1x',
    'HTP/1.1',
    'HTTP/ 1.1',
  ].map((version): Case => [version, `GET / ${version}\r\nHost: h\r\n\r\n`]),
  [
    'an upgrade with a body',
    post(`Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: ${SMUGGLED.length}`, SMUGGLED),
  ],
  ['an upgrade with chunks', post(`Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked`, CHUNKED)],
  ['CONNECT', `CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n${SMUGGLED}`],
  ...['y 100-continue', '100-continue, x', 'x', '', '100-continue\r\nExpect: 100-continue'].map(
    (value): Case => [`Expect: ${JSON.stringify(value)}`, post(`Expect: ${value}\r\nContent-Length: 5`, 'hello')],
  ),
  ['an expectation of GET', get('Expect: x')],
  ...[1_000, 1_001, 3_000].flatMap((lines): Case[] => [
    [`${lines} lines before a length`, get(`${'a:b\r\n'.repeat(lines)}Content-Length: ${SMUGGLED.length}`) + SMUGGLED],
    [`${lines} lines before chunks`, get(`${'a:b\r\n'.repeat(lines)}Transfer-Encoding: chunked`) + CHUNKED],
  ]),
  ['a head above its bound', get(`X-A: ${'a'.repeat(40_000)}`)],
  ['a name of 64 KiB before a length', post(`${'a'.repeat(65_536)}: b\r\nContent-Length: 5`, 'hello')],
];

/** Refused in the middle of the body, when the upstream has the head already. */
const REFUSED_IN_BODY: readonly Case[] = [
  ['a chunk size with a prefix', chunked('0x2\r\nhi\r\n0\r\n\r\n')],
  ['a negative chunk size', chunked('-1\r\nhi\r\n0\r\n\r\n')],
  ['a signed chunk size', chunked('+2\r\nhi\r\n0\r\n\r\n')],
  ['an empty chunk size', chunked('\r\nhi\r\n0\r\n\r\n')],
  ['a blank behind a chunk size', chunked('2 \r\nhi\r\n0\r\n\r\n')],
  ['a blank before a chunk size', chunked(' 2\r\nhi\r\n0\r\n\r\n')],
  ['a chunk size that overflows', chunked('10000000000000002\r\nhi\r\n0\r\n\r\n')],
  ['a bare LF behind a chunk size', chunked('2\nhi\r\n0\r\n\r\n')],
  ['a bare LF in a chunk extension', chunked('2;\nxx\r\nhi\r\n0\r\n\r\n')],
  ['a bare CR in a chunk extension', chunked('2;a\rb\r\nhi\r\n0\r\n\r\n')],
  ['a NUL in a chunk extension', chunked('2;a\u0000\r\nhi\r\n0\r\n\r\n')],
  ['a bare LF behind a chunk', chunked('2\r\nhi\n0\r\n\r\n')],
  ['a bare CR behind a chunk', chunked('2\r\nhi\r0\r\n\r\n')],
  ['a chunk longer than it says', chunked('2\r\nhis\r\n0\r\n\r\n')],
  ['a chunk shorter than it says', chunked('4\r\nhi\r\n0\r\n\r\n')],
  ['a folded trailer', chunked('0\r\nX: a\r\n b\r\n\r\n')],
  ['a trailer without a name', chunked('0\r\n: a\r\n\r\n')],
  ['a bare LF in a trailer', chunked('0\r\nX: a\nY: b\r\n\r\n')],
  ['an extension of 1 MiB', chunked(`2;${'x'.repeat(1024 * 1024)}\r\nhi\r\n0\r\n\r\n`)],
  ['many extensions', chunked(`1;xxxxxxxxxxxxxxx\r\na\r\n`.repeat(2_000))],
  ['a trailer of 17 KiB', chunked(`0\r\nX: ${'x'.repeat(17 * 1024)}\r\n\r\n`)],
  ['101 trailers', chunked(`0\r\n${'X: a\r\n'.repeat(101)}\r\n`)],
];

/** Refused by the core: well framed, so the connection may go on. */
const REFUSED_INSIDE: readonly Case[] = [
  ['no Host', 'GET / HTTP/1.1\r\n\r\n'],
  ['two Hosts', 'GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n'],
  ['two equal Hosts', 'GET / HTTP/1.1\r\nHost: h\r\nhost: h\r\n\r\n'],
  ['two Authorizations', get('Authorization: Basic eA==\r\nAuthorization: Basic eQ==')],
  ['two equal Authorizations', get('Authorization: Basic eA==\r\nAuthorization: Basic eA==')],
  ['TRACE', 'TRACE / HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['TRACE with a body', `TRACE / HTTP/1.1\r\nHost: h\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`],
];

/** Accepted, and exactly one request at the origin with this body. */
const ONE: readonly (readonly [what: string, bytes: string, body: string])[] = [
  ...['GET', 'HEAD', 'DELETE', 'OPTIONS', 'PUT', 'POST', 'PATCH', 'PROPFIND', 'X'].flatMap(
    (method): (readonly [string, string, string])[] => [
      [
        `a chunked ${method} that hides a request`,
        `${method} / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKED}`,
        SMUGGLED,
      ],
      [
        `a ${method} with a length that hides one`,
        `${method} / HTTP/1.1\r\nHost: h\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
        SMUGGLED,
      ],
    ],
  ),
  ['framing in other letters', post(`cONTENT-lENGTH:\t${SMUGGLED.length}  `, SMUGGLED), SMUGGLED],
  ['a coding in other letters', post('Transfer-Encoding: CHUNKED', CHUNKED), SMUGGLED],
  ['a name of 255 letters before a length', post(`${'a'.repeat(255)}: b\r\nContent-Length: 5`, 'hello'), 'hello'],
  ['a name of 270 letters before a length', post(`${'a'.repeat(270)}: b\r\nContent-Length: 5`, 'hello'), 'hello'],
  [
    'a declined upgrade with a body',
    post(
      `Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\nContent-Length: ${SMUGGLED.length}`,
      SMUGGLED,
    ),
    SMUGGLED,
  ],
  [
    'framing named by Connection',
    post(`Connection: Content-Length, Host, Transfer-Encoding\r\nContent-Length: ${SMUGGLED.length}`, SMUGGLED),
    SMUGGLED,
  ],
  [
    'an underscored framing field',
    post(`Transfer_Encoding: chunked\r\nContent-Length: ${SMUGGLED.length}`, SMUGGLED),
    SMUGGLED,
  ],
  ['extensions of chunks', chunked('2;a="b;c";d\r\nhi\r\n0;e\r\n\r\n'), 'hi'],
  ['leading zeros of a chunk size', chunked('002\r\nhi\r\n000\r\n\r\n'), 'hi'],
  ['trailers', chunked('2\r\nhi\r\n0\r\nX-T: 1\r\nContent-Length: 99\r\n\r\n'), 'hi'],
  ['one empty line before it', `\r\n${post('Content-Length: 2', 'hi')}`, 'hi'],
];

describe('framing', () => {
  let arena: Arena;

  before(async () => {
    arena = await openArena();
  });

  after(() => arena.close());

  for (const [what, bytes] of REFUSED) {
    it(`refuses ${what}`, async () => assertRefused(await arena.attack(bytes)));
  }

  for (const [what, bytes] of REFUSED_IN_BODY) {
    it(`refuses ${what}`, async () => assertRefused(await arena.attack(bytes), 0, 'body'));
  }

  for (const [what, bytes] of REFUSED_INSIDE) {
    it(`refuses ${what}`, async () => assertRefused(await arena.attack(bytes), 0, 'core'));
  }

  for (const [what, bytes, body] of ONE) {
    it(`passes ${what} on as one request`, async () => {
      const request = assertOne(await arena.attack(bytes));

      assert.equal(request.body, body);
      assert.ok(!request.trailers.some(([name]) => name.toLowerCase() === 'content-length'));
    });
  }

  it('closes the connection after an answer that left a large body unread', async () => {
    const outcome = await arena.attack(`POST /a//b HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\n${SMUGGLED}`);

    assertRefused(outcome, 400);
    assert.match(outcome.text, /\r\nConnection: close\r\n/);
  });
});
