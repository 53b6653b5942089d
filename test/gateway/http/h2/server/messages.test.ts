// What clients that speak HTTP/2 send and get, in front of upstreams that speak HTTP/1.1.
// Must not send what no client library would: strictness.test.ts does.
import assert from 'node:assert/strict';
import { createStage } from '../../../../support/proxied-api.ts';
import { ask, gather } from '../../../../support/wire/h2-client.ts';
import { headerOf, startOrigin, startTcpOrigin } from '../../../../support/wire/origin.ts';
import { setUp, startEcho } from './open-session.ts';

describe('HTTP/2 server', () => {
  const stage = createStage();

  afterEach(() => stage.close());

  it('passes requests through the pipeline and answers them', async () => {
    const origin = await startEcho();
    const { session } = await setUp(stage, origin);

    const got = await ask(session, { ':path': '/a?b=c', cookie: ['x=1', 'y=2'] });
    const posted = await ask(session, { ':method': 'POST', 'content-length': 5 }, 'hello');

    assert.equal(got.status, 200);
    assert.equal(got.headers.via, '1.1 sallyport');
    assert.ok(got.headers.date);
    assert.equal(posted.body.toString(), 'hello');
    const [first, second] = origin.seen;
    assert.equal(first?.target, '/a?b=c');
    assert.deepEqual(headerOf(first, 'cookie'), ['x=1; y=2']);
    assert.deepEqual(headerOf(first, 'via'), ['2 sallyport']);
    assert.deepEqual(headerOf(first, 'x-forwarded-proto'), ['http']);
    assert.deepEqual(headerOf(second, 'content-length'), ['5']);
  });

  it('answers what has no body without one', async () => {
    const origin = await startOrigin((request, response) => {
      response.writeHead(Number(request.target.slice(1)), request.method === 'HEAD' ? { 'content-length': 5 } : {});
      response.end();
    });
    const { session } = await setUp(stage, origin);

    const answers = await Promise.all([
      ask(session, { ':path': '/204' }),
      ask(session, { ':path': '/304' }),
      ask(session, { ':path': '/200', ':method': 'HEAD' }),
    ]);

    assert.deepEqual(
      answers.map(({ status, isHeadOnly }) => [status, isHeadOnly]),
      [
        [204, true],
        [304, true],
        [200, true],
      ],
    );
    assert.equal(answers[2]?.headers['content-length'], '5');
  });

  it('relays trailers of both sides, 103, and leave to send', async () => {
    const head =
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n2\r\nok\r\n0\r\nx-sum: 1\r\nx-twice: a\r\nx-twice: b\r\n\r\n';
    const origin = await startTcpOrigin((socket, text) => {
      if (text.endsWith('\r\n\r\n') && !text.includes('\r\n0\r\n')) {
        socket.write('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n');
      }
      if (text.endsWith('x-mine: 2\r\n\r\n')) socket.write(head);
    });
    const { session } = await setUp(stage, origin);
    const stream = session.request(
      { ':method': 'POST', te: 'trailers', expect: '100-continue' },
      { waitForTrailers: true, endStream: false },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-mine': '2' }));
    stream.on('continue', () => stream.end('hi'));

    const answer = await gather(stream);

    assert.deepEqual(
      answer.informational.map((fields) => fields[':status']),
      [103, 100],
    );
    assert.equal(answer.informational[0]?.['link'], '</a>');
    assert.equal(answer.body.toString(), 'ok');
    assert.equal(answer.trailers['x-sum'], '1');
    assert.equal(answer.trailers['x-twice'], 'a, b');
    assert.match(origin.received(), /\r\n2\r\nhi\r\n0\r\nx-mine: 2\r\n\r\n$/);
  });

  it('streams large bodies both ways', async () => {
    const { session } = await setUp(stage, await startEcho());
    const body = Buffer.alloc(5 * 1024 * 1024, 'abcdefghij');

    const answers = await Promise.all([1, 2, 3].map(() => ask(session, { ':method': 'POST' }, body)));

    for (const answer of answers) assert.ok(answer.body.equals(body));
  });

  it('joins a field that came twice where HTTP/2 may not send it twice, and keeps cookies apart', async () => {
    const origin = await startTcpOrigin((socket) =>
      socket.write(
        'HTTP/1.1 200 OK\r\nETag: a\r\nETag: b\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n',
      ),
    );
    const { session } = await setUp(stage, origin);

    const { headers } = await ask(session);

    assert.equal(headers.etag, 'a, b');
    assert.deepEqual(headers['set-cookie'], ['a', 'b']);
  });

  it('answers 502 to a status that HTTP/2 cannot carry', async () => {
    const origin = await startTcpOrigin((socket) => socket.write('HTTP/1.1 799 Odd\r\nContent-Length: 0\r\n\r\n'));
    const { session } = await setUp(stage, origin);

    assert.equal((await ask(session)).status, 502);
  });

  it('answers 502 to a head that is too large for HTTP/2, up to the largest that is not', async () => {
    const lines = Array.from({ length: 60 }, (_, at) => `X-${at}: ${'y'.repeat(1_000)}\r\n`);
    const origin = await startTcpOrigin((socket, _, last) => {
      const rest = 'y'.repeat(Number(/ \/(\d+) /.exec(last)?.[1]));
      socket.write(`HTTP/1.1 200 OK\r\n${lines.join('')}Rest: ${rest}\r\nContent-Length: 2\r\n\r\nok`);
    });
    const { session } = await setUp(stage, origin);

    const answers: string[] = [];
    for (let bytes = 3_000; bytes <= 4_900; bytes += 100) {
      const { status, resetCode } = await ask(session, { ':path': `/${bytes}` });
      answers.push(`${status} ${resetCode}`);
    }

    assert.deepEqual([...new Set(answers)], ['200 0', '502 0']);
  });

  it('leaves out a 103 that is too large for HTTP/2', async () => {
    const lines = Array.from({ length: 64 }, (_, at) => `X-${at}: ${'y'.repeat(1_015)}\r\n`);
    const origin = await startTcpOrigin((socket) =>
      socket.write(`HTTP/1.1 103 Early Hints\r\n${lines.join('')}\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`),
    );
    const { session } = await setUp(stage, origin);

    const answer = await ask(session, { te: 'trailers' });

    assert.deepEqual([answer.status, answer.informational.length, answer.resetCode], [200, 0, 0]);
  });
});
