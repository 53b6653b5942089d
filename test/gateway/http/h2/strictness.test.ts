// What an HTTP/2 client may send: frame by frame, and nothing at the origin when it may not.
// Must not use a client library: none would send these.
import assert from 'node:assert/strict';
import { startGateway, type TestGateway } from '../../../support/engine.ts';
import { makeApi, makeRoute, putAll } from '../../../support/entities.ts';
import {
  FLAG,
  FRAME,
  type FrameClient,
  frame,
  headersFrame,
  type Lines,
  openFrames,
  requestLines,
} from '../../../support/wire/h2-frames.ts';
import { type Origin, startOrigin } from '../../../support/wire/origin.ts';

const PROTOCOL_ERROR = 'reset 1';
const POST = { ':method': 'POST' };

/** A request head, and what comes of it: where there are two ways, the versions of node:http2 differ. */
const HEADS: readonly (readonly [string, Lines, string])[] = [
  ['a plain request', requestLines(), 'status 200'],
  ['a name in upper case', requestLines({}, [['X-Up', 'a']]), PROTOCOL_ERROR],
  ['Connection', requestLines({}, [['connection', 'close']]), PROTOCOL_ERROR],
  ['Keep-Alive', requestLines({}, [['keep-alive', 'timeout=5']]), PROTOCOL_ERROR],
  ['Proxy-Connection', requestLines({}, [['proxy-connection', 'close']]), PROTOCOL_ERROR],
  ['Upgrade', requestLines({}, [['upgrade', 'websocket']]), PROTOCOL_ERROR],
  ['Transfer-Encoding', requestLines(POST, [['transfer-encoding', 'chunked']]), PROTOCOL_ERROR],
  ['TE with anything but trailers', requestLines({}, [['te', 'gzip']]), PROTOCOL_ERROR],
  ['TE with trailers', requestLines({}, [['te', 'trailers']]), 'status 200'],
  ['two :path', [...requestLines(), [':path', '/b']], PROTOCOL_ERROR],
  ['two :authority', [...requestLines(), [':authority', 'x']], PROTOCOL_ERROR],
  ['a pseudo-header behind a field', [...requestLines(), ['a', 'b'], [':foo', 'x']], PROTOCOL_ERROR],
  ['an unknown pseudo-header', [...requestLines(), [':foo', 'x']], PROTOCOL_ERROR],
  [':status in a request', [...requestLines(), [':status', '200']], PROTOCOL_ERROR],
  ['no :path', requestLines().filter(([name]) => name !== ':path'), PROTOCOL_ERROR],
  ['no :scheme', requestLines().filter(([name]) => name !== ':scheme'), PROTOCOL_ERROR],
  ['no :method', requestLines().filter(([name]) => name !== ':method'), PROTOCOL_ERROR],
  ['neither :authority nor Host', requestLines().filter(([name]) => name !== ':authority'), PROTOCOL_ERROR],
  ['a path without a slash', requestLines({ ':path': 'svc/Method' }), PROTOCOL_ERROR],
  ['the path *', requestLines({ ':path': '*' }), PROTOCOL_ERROR],
  ['an empty path', requestLines({ ':path': '' }), PROTOCOL_ERROR],
  ['an absolute path', requestLines({ ':path': 'http://h/' }), PROTOCOL_ERROR],
  ['a path with a line end', requestLines({ ':path': '/a\r\nx: y' }), PROTOCOL_ERROR],
  ['OPTIONS *', requestLines({ ':method': 'OPTIONS', ':path': '*' }), 'status 400'],
  ['a fragment', requestLines({ ':path': '/a#b' }), 'status 400'],
  ['a dot segment', requestLines({ ':path': '/a/%2e%2e/b' }), 'status 400'],
  ['a method that is no token', requestLines({ ':method': 'G ET' }), PROTOCOL_ERROR],
  [
    'CONNECT',
    [
      [':method', 'CONNECT'],
      [':authority', 'h:80'],
    ],
    'status 405',
  ],
  ['extended CONNECT', requestLines({ ':method': 'CONNECT', ':protocol': 'websocket' }), PROTOCOL_ERROR],
  ['another scheme', requestLines({ ':scheme': 'ftp' }), 'status 400'],
  ['user info', requestLines({ ':authority': 'a@h' }), 'status 400 or reset 1'],
  ['Host beside an :authority that it agrees with', requestLines({}, [['host', 'H']]), 'status 200'],
  ['Host alone', [...requestLines().filter(([name]) => name !== ':authority'), ['host', 'h']], 'status 200'],
  ['Host that disagrees', requestLines({}, [['host', 'x']]), 'status 400'],
  [
    'two Host',
    requestLines({}, [
      ['host', 'h'],
      ['host', 'h'],
    ]),
    PROTOCOL_ERROR,
  ],
  [
    'two Content-Length',
    requestLines(POST, [
      ['content-length', '0'],
      ['content-length', '0'],
    ]),
    PROTOCOL_ERROR,
  ],
  ['a signed Content-Length', requestLines(POST, [['content-length', '+0']]), PROTOCOL_ERROR],
  ['a Content-Length with a leading zero', requestLines(POST, [['content-length', '00']]), 'status 400'],
  ['a Content-Length without the content', requestLines(POST, [['content-length', '2']]), PROTOCOL_ERROR],
  ['an unclear expectation', requestLines(POST, [['expect', 'y 100-continue']]), 'status 417'],
  [
    '101 lines',
    requestLines(
      {},
      Array.from({ length: 101 }, () => ['a', 'b'] as const),
    ),
    'status 431',
  ],
  [
    '200 lines',
    requestLines(
      {},
      Array.from({ length: 200 }, () => ['a', 'b'] as const),
    ),
    'reset 11',
  ],
];

/** Frames behind the head of a POST without its end, and what comes of them. */
const BODIES: readonly (readonly [string, Lines, readonly Buffer[], string])[] = [
  ['a body', [], [frame(FRAME.data, FLAG.endStream, 1, Buffer.from('hello'))], 'status 200'],
  [
    'less than Content-Length says',
    [['content-length', '9']],
    [frame(FRAME.data, FLAG.endStream, 1, Buffer.from('hello'))],
    PROTOCOL_ERROR,
  ],
  [
    'more than Content-Length says',
    [['content-length', '2']],
    [frame(FRAME.data, FLAG.endStream, 1, Buffer.from('hello'))],
    'reset 1 or goaway 2',
  ],
  ['a pseudo-header among trailers', [], [headersFrame(1, [[':path', '/']])], PROTOCOL_ERROR],
  ['a trailer in upper case', [], [headersFrame(1, [['X-A', 'b']])], PROTOCOL_ERROR],
  ['trailers that do not end the stream', [], [headersFrame(1, [['x-a', 'b']], FLAG.endHeaders)], PROTOCOL_ERROR],
];

// A field that cannot be one is left out before anybody sees it: node:http2 does so (nghttp2_on_invalid_header_callback).
const LEFT_OUT: readonly (readonly [string, readonly [string, string]])[] = [
  ['a line end in a value', ['x-bad', 'a\r\nx-smuggled: b']],
  ['a NUL in a value', ['x-bad', 'a\0b']],
  ['blanks around a value', ['x-bad', ' a ']],
  ['a colon in a name', ['x:bad', 'a']],
  ['a blank in a name', ['x bad', 'a']],
  ['an empty name', ['', 'a']],
];

describe('HTTP/2 strictness', () => {
  let origin: Origin;
  let gateway: TestGateway;
  let client: FrameClient;

  before(async () => {
    origin = await startOrigin();
    gateway = await startGateway();
    await gateway.apply(
      putAll({ apis: [makeApi({ name: 'api', upstream: origin.url, routes: [makeRoute({ paths: ['/'] })] })] }),
    );
  });
  beforeEach(async () => {
    origin.seen.length = 0;
    client = await openFrames(gateway.port);
  });
  afterEach(() => client.close());
  after(async () => {
    await gateway.close();
    await origin.close();
  });

  for (const [name, lines, expected] of HEADS) {
    it(`answers ${name} with ${expected}`, async () => {
      client.send(headersFrame(1, lines));

      assert.ok(expected.split(' or ').includes(await client.outcome(1)));
      client.send(headersFrame(3, requestLines({ ':path': '/probe' })));
      assert.equal(await client.outcome(3), 'status 200');
      assert.equal(origin.seen.length, expected === 'status 200' ? 2 : 1);
    });
  }

  for (const [name, lines, frames, expected] of BODIES) {
    it(`answers ${name} with ${expected}`, async () => {
      client.send(headersFrame(1, requestLines(POST, lines), FLAG.endHeaders), ...frames);

      assert.ok(expected.split(' or ').includes(await client.outcome(1)));
      assert.equal(origin.seen.length, expected === 'status 200' ? 1 : 0);
    });
  }

  for (const [name, line] of LEFT_OUT) {
    it(`never passes ${name} on`, async () => {
      client.send(headersFrame(1, requestLines({}, [line, ['x-good', 'yes']])));

      assert.equal(await client.outcome(1), 'status 200');
      const lines = origin.seen[0]?.rawHeaders ?? [];
      assert.ok(lines.includes('x-good'));
      assert.ok(!lines.some((text) => /^x\Wbad|smuggled/.test(text)));
    });
  }

  it('ends the connection on frames that break the connection', async () => {
    client.send(frame(FRAME.data, FLAG.endStream, 0, Buffer.from('x')));

    assert.match(await client.outcome(1), /^goaway/);
    assert.equal(origin.seen.length, 0);
  });
});
