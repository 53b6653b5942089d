// Clients as people use them, each a program or a library of its own, through the running product.
// Must not look at bytes: what a client makes of an answer is what counts.
import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { ChannelCredentials, Client as GrpcClient } from '@grpc/grpc-js';
import { Agent, Client, Pool, fetch as undiciFetch } from 'undici';
import { WebSocket } from 'ws';
import { type ClientStage, HOST, startClientStage } from '../support/wire/client-stage.ts';
import { call, ECHO, type EchoServer, startEcho } from '../support/wire/grpc.ts';

const MB = 1024 * 1024;
const run = promisify(execFile);

describe('real clients', function () {
  this.timeout(60_000);
  let stage: ClientStage;

  before(async () => {
    stage = await startClientStage();
  });

  after(() => stage?.close());

  describe('curl', () => {
    before(function () {
      if (spawnSync('curl', ['--version']).status === 0) return;
      if (process.env['CI'] === 'true') throw new Error('CI needs curl');
      process.stdout.write('    skipped, for there is no curl\n');
      this.skip();
    });

    /** Gives what it printed: bodies, then what `--write-out` says of each. */
    async function curl(...words: readonly string[]): Promise<string> {
      const { stdout } = await run('curl', ['--silent', '--show-error', '--max-time', '20', ...words], {
        maxBuffer: 64 * MB,
      });
      return stdout;
    }

    const secure = (): readonly string[] => [
      '--cacert',
      stage.authorityFile,
      '--resolve',
      `${HOST}:${stage.tlsPort}:127.0.0.1`,
    ];

    it('asks twice over one connection', async () => {
      const text = await curl('-w', ' %{http_code} %{num_connects}\n', `${stage.url}/one`, `${stage.url}/two?a=b`);

      assert.equal(text, 'GET /one 200 1\nGET /two?a=b 200 0\n');
    });

    it('speaks HTTP/1.0, and asks for a head only', async () => {
      const old = await curl('--http1.0', '-w', ' %{http_code}', `${stage.url}/old`);
      const head = await curl('--head', `${stage.url}/bytes?count=7`);

      assert.equal(old, 'GET /old 200');
      assert.match(head, /^HTTP\/1\.1 200 OK\r\n[\s\S]*^content-length: 7\r\n/im);
    });

    for (const [how, words] of [
      ['in chunks', ['--upload-file', '-']],
      ['after it was given leave to', ['--data-binary', '@-', '-H', 'Expect: 100-continue']],
      ['over HTTP/2 with prior knowledge', ['--http2-prior-knowledge', '--data-binary', '@-']],
    ] as const) {
      it(`sends a large body ${how}`, async () => {
        const body = Buffer.alloc(5 * MB, 'curl ');
        const child = spawn('curl', ['--silent', '--max-time', '20', ...words, `${stage.url}/digest`]);
        let text = '';
        child.stdout.on('data', (piece) => {
          text += piece;
        });

        child.stdin.end(body);
        const [code] = await once(child, 'close');

        assert.equal(code, 0);
        assert.equal(text, `${body.length} ${createHash('sha256').update(body).digest('hex')}`);
      });
    }

    it('gets a large body', async () => {
      assert.equal((await curl(`${stage.url}/bytes?count=${20 * MB}`)).length, 20 * MB);
    });

    it('agrees over TLS on HTTP/2, or on HTTP/1.1 where it wants that', async () => {
      const url = `https://${HOST}:${stage.tlsPort}/tls`;
      const format = ' %{http_version} %{ssl_verify_result}';

      const two = await curl(...secure(), '--http2', '-w', format, url);
      const one = await curl(...secure(), '--http1.1', '-w', format, url);

      assert.deepEqual([two, one], ['GET /tls 2 0', 'GET /tls 1.1 0']);
    });

    it('is answered in HTTP/1.1 when it offers to upgrade to HTTP/2 in clear', async () => {
      const text = await curl('--http2', '-w', ' %{http_code} %{http_version}', `${stage.url}/offer`);

      assert.equal(text, 'GET /offer 200 1.1');
    });
  });

  describe('undici', () => {
    it('fetches, and sends a stream', async () => {
      const plain = await undiciFetch(`${stage.url}/plain`);
      const pieces = Array.from({ length: 64 }, (_, at) => Buffer.alloc(64 * 1024, at));
      const left = [...pieces];
      const sent = await undiciFetch(`${stage.url}/digest`, {
        method: 'POST',
        body: new ReadableStream({
          pull(controller) {
            const piece = left.shift();
            if (piece) controller.enqueue(piece);
            else controller.close();
          },
        }),
        duplex: 'half',
      });

      assert.equal(await plain.text(), 'GET /plain');
      assert.equal(await sent.text(), `${4 * MB} ${createHash('sha256').update(Buffer.concat(pieces)).digest('hex')}`);
    });
    it('pipelines over one connection and over several, and gets each answer where it belongs', async () => {
      const client = new Client(stage.url, { pipelining: 10 });
      const pool = new Pool(stage.url, { connections: 4, pipelining: 4 });

      for (const dispatcher of [client, pool]) {
        const paths = Array.from({ length: 200 }, (_, at) => `/${at}`);
        const answers = await Promise.all(
          paths.map(async (path) => (await dispatcher.request({ method: 'GET', path })).body.text()),
        );
        await dispatcher.close();

        assert.deepEqual(
          answers,
          paths.map((path) => `GET ${path}`),
        );
      }
    });

    it('leaves in the middle of an answer, and the origin hears of it', async () => {
      const control = new AbortController();
      const response = await undiciFetch(`${stage.url}/endless`, { signal: control.signal });
      const { gone } = await stage.nextEndless();

      control.abort();
      await gone;

      await assert.rejects(response.text(), { name: 'AbortError' });
    });

    it('speaks HTTP/2 over TLS', async () => {
      const dispatcher = new Agent({ allowH2: true, connect: { ca: stage.authority, servername: HOST } });

      const answers = await Promise.all(
        Array.from({ length: 20 }, async (_, at) =>
          (await undiciFetch(`https://127.0.0.1:${stage.tlsPort}/${at}`, { dispatcher })).text(),
        ),
      );
      await dispatcher.close();

      assert.deepEqual(
        answers,
        Array.from({ length: 20 }, (_, at) => `GET /${at}`),
      );
    });
  });

  for (const scheme of ['ws', 'wss'] as const) {
    describe(`a WebSocket (${scheme})`, () => {
      async function open(protocols: readonly string[] = [], perMessageDeflate = true): Promise<WebSocket> {
        const port = scheme === 'ws' ? stage.port : stage.tlsPort;
        const tls = { ca: stage.authority, servername: HOST };
        const socket = new WebSocket(`${scheme}://127.0.0.1:${port}/chat`, [...protocols], {
          ...tls,
          perMessageDeflate,
        });
        await once(socket, 'open');
        return socket;
      }

      async function echo(socket: WebSocket, data: string | Buffer): Promise<{ data: Buffer; isBinary: boolean }> {
        const answer = once(socket, 'message');
        socket.send(data);
        const [bytes, isBinary] = (await answer) as [Buffer, boolean];
        return { data: bytes, isBinary };
      }

      for (const isPacked of [true, false]) {
        it(`carries text and bytes, small and large, ${isPacked ? 'packed' : 'as they are'}`, async () => {
          const socket = await open([], isPacked);
          const large = Buffer.alloc(5 * MB, 'large ');

          const text = await echo(socket, 'gr\u00fc\u00df dich');
          const bytes = await echo(socket, large);

          assert.equal(socket.extensions.includes('permessage-deflate'), isPacked);
          assert.deepEqual([text.data.toString(), text.isBinary], ['gr\u00fc\u00df dich', false]);
          assert.ok(bytes.isBinary && bytes.data.equals(large));
          socket.close();
          await once(socket, 'close');
        });
      }

      it('agrees on a protocol, answers pings, and tells why it was closed', async () => {
        const socket = await open(['one', 'two']);

        socket.ping('are you there');
        const [pong] = (await once(socket, 'pong')) as [Buffer];
        socket.close(4001, 'enough');
        const [code, reason] = (await once(socket, 'close')) as [number, Buffer];

        assert.equal(socket.protocol, 'two');
        assert.equal(pong.toString(), 'are you there');
        assert.deepEqual([code, reason.toString()], [4001, 'enough']);
      });

      it('carries many connections at a time', async () => {
        const sockets = await Promise.all(Array.from({ length: 50 }, () => open()));

        const answers = await Promise.all(sockets.map((socket, at) => echo(socket, String(at))));
        const closed = sockets.map((socket) => once(socket, 'close'));
        for (const socket of sockets) socket.close(1000);
        const codes = (await Promise.all(closed)).map(([code]) => code as number);

        assert.deepEqual(
          answers.map(({ data }) => Number(data)),
          sockets.map((_, at) => at),
        );
        assert.deepEqual([...new Set(codes)], [1000]);
      });
    });
  }

  describe('gRPC', () => {
    let service: EchoServer;

    before(async () => {
      service = await startEcho();
      await stage.admin.call('POST', '/v1/apis?wait=applied', {
        name: 'service',
        upstream: service.url,
        routes: [{ paths: ['/test.Echo'], stripPath: false }],
      });
    });

    after(() => service?.close());

    for (const how of ['in clear', 'over TLS'] as const) {
      it(`calls, and chats, ${how}`, async () => {
        const options = { 'grpc.ssl_target_name_override': HOST, 'grpc.use_local_subchannel_pool': 1 };
        const client =
          how === 'in clear'
            ? new GrpcClient(`127.0.0.1:${stage.port}`, ChannelCredentials.createInsecure(), options)
            : new GrpcClient(
                `127.0.0.1:${stage.tlsPort}`,
                ChannelCredentials.createSsl(Buffer.from(stage.authority)),
                options,
              );

        const { code, reply } = await call(client, 'hello');
        const { path, requestSerialize, responseDeserialize } = ECHO.chat;
        const chat = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
        const heard: string[] = [];
        chat.on('data', (text: string) => heard.push(text));
        for (const word of ['a', 'b', 'c']) chat.write(word);
        chat.end();
        await once(chat, 'end');
        client.close();

        assert.deepEqual([code, reply, heard], [0, 'hello', ['A', 'B', 'C']]);
      });
    }
  });
});
