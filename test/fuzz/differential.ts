// The same bytes to us and to other servers: what we pass on and all of them refuse has to be explained.
// Must not judge the others.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTcpOrigin, type TcpOrigin } from '../support/wire/origin.ts';
import { converse, type Group, openBench } from './group.ts';
import { makeRequest } from './messages.ts';
import { readStrictly } from './strict-reader.ts';

const READY_MS = 10_000;

/** What we pass on though another refuses it, and why that is right. Listed in docs/http.md too. */
const EXPLAINED: readonly (readonly [string, RegExp])[] = [
  ['nginx refuses lengths and methods in lower case that are tokens', /^get /],
  ['some refuse `_` or bytes above 0x7F in fields, which RFC 9110 allows', /[\x80-\xff]|^[^\r\n:]*_[^\r\n:]*:/m],
  ['some refuse every absolute-form or any port beside the host', /^\S+ http:|host: h:80/im],
  ['one empty line before a request is read over, as RFC 9112 section 2.2 asks for', /^\r\n/],
  ['some answer expectations, upgrades or HTTP/1.0 themselves', /^expect:|^upgrade:|HTTP\/1\.0/im],
  [
    'some end a connection at a GET or HEAD with a body, or at methods they do not know',
    /^(?:GET|HEAD|OPTIONS|DELETE|REPORT) [\s\S]*^(?:content-length|transfer-encoding):/im,
  ],
  ['an empty target path segment or characters that others decode differently never pass here', /^\S+ \S*(?:%|~)/],
];

interface Rival {
  readonly port: number;
  readonly origin: TcpOrigin;
  close(): Promise<void>;
}

async function startOrigin(): Promise<TcpOrigin> {
  return startTcpOrigin((socket: Socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok');
    socket.end();
  });
}

async function findPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function waitForPort(port: number): Promise<void> {
  const deadline = performance.now() + READY_MS;
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.destroy();
    if (isOpen) return;
    if (performance.now() > deadline) throw new Error(`nothing listens on ${port}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function startProgram(
  command: (folder: string) => readonly string[],
  config: (port: number, upstream: number) => string,
): Promise<Rival> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-fuzz-'));
  const origin = await startOrigin();
  const port = await findPort();
  await writeFile(join(folder, 'config'), config(port, origin.port));
  const [program = '', ...words] = command(folder);
  const child: ChildProcess = spawn(program, words, { stdio: 'ignore' });
  await waitForPort(port);
  return {
    port,
    origin,
    async close() {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
      await origin.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const RIVALS: Readonly<Record<string, () => Promise<Rival>>> = {
  nginx: () =>
    startProgram(
      (folder) => ['nginx', '-p', folder, '-c', join(folder, 'config'), '-e', join(folder, 'error.log')],
      (port, upstream) => `daemon off; pid nginx.pid; error_log /dev/null; events {} http { access_log off;
        client_header_timeout 1s; client_body_timeout 1s; keepalive_timeout 1s; ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((one) => `${one}_temp_path ${one};`).join(' ')}
        server { listen 127.0.0.1:${port}; location / { proxy_pass http://127.0.0.1:${upstream}; proxy_http_version 1.1; proxy_request_buffering off; } } }`,
    ),
  haproxy: () =>
    startProgram(
      (folder) => ['haproxy', '-db', '-f', join(folder, 'config')],
      (port, upstream) => `defaults
  mode http
  timeout connect 2s
  timeout client 1s
  timeout server 2s
  timeout http-request 1s
frontend f
  bind 127.0.0.1:${port}
  default_backend b
backend b
  server s 127.0.0.1:${upstream}
`,
    ),
  async node() {
    const origin = await startOrigin();
    const server = createHttpServer({ headersTimeout: 1_000, requestTimeout: 1_000, connectionsCheckingInterval: 100 });
    // Not a proxy: that its parser took a request is all that is asked.
    server.on('request', (request, response) => {
      request.resume();
      request.on('end', () => response.writeHead(200, { connection: 'close' }).end('ok'));
    });
    server.on('clientError', (_error, socket) => socket.destroy());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return {
      port: (server.address() as AddressInfo).port,
      origin,
      async close() {
        server.closeAllConnections();
        server.close();
        await origin.close();
      },
    };
  },
};

/** Compares with every rival at once. */
export const differential: Group = {
  name: 'differential',
  findObstacle() {
    const missing = ['nginx', 'haproxy'].filter((program) => spawnSync(program, ['-v']).error);
    return missing.length === 0 ? undefined : `${missing.join(' and ')} not installed`;
  },
  async open() {
    const bench = await openBench((socket, text) => {
      const read = readStrictly(text);
      if (typeof read === 'string' || read.length === 0) return;
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok');
    });
    const rivals = await Promise.all(Object.values(RIVALS).map((start) => start()));
    return {
      async run(random) {
        const message = makeRequest(random);
        const ours = await converse(bench.gateway.port, [message]);
        if (ours.hangs) return `the connection hangs\nbytes: ${JSON.stringify(message)}`;
        if (!/^(?:HTTP\/1\.1 1\d\d [^\r]*\r\n\r\n)*HTTP\/1\.1 200 /.test(ours.text)) return undefined;
        const others = await Promise.all(rivals.map(({ port }) => converse(port, [message])));
        if (others.some(({ text }) => /HTTP\/1\.1 200 /.test(text))) return undefined;
        if (EXPLAINED.some(([, pattern]) => pattern.test(message))) return undefined;
        return `passed here, refused by all others\nbytes: ${JSON.stringify(message)}`;
      },
      async close() {
        await bench.close();
        await Promise.all(rivals.map((rival) => rival.close()));
      },
    };
  },
};
