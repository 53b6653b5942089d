// The whole product with an origin behind it, in clear and over TLS, for clients that are programs of their own.
// Must not speak for a client.
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocketServer } from 'ws';
import { type AdminClient, connectAdmin } from '../product/admin-client.ts';
import { type RunningProduct, startProduct } from '../product/gateway.ts';
import { makeAuthority, makeCertificate } from './certificates.ts';

/** Name for which the gateway has a certificate. */
export const HOST = 'gateway.test';

/** Is the product, ready to be called. */
export interface ClientStage {
  readonly product: RunningProduct;
  readonly admin: AdminClient;
  /** `http://127.0.0.1:port`. */
  readonly url: string;
  readonly port: number;
  readonly tlsPort: number;
  /** PEM of the authority that signed the gateway's certificate, and a file with it. */
  readonly authority: string;
  readonly authorityFile: string;
  /** What pages sent to `/report`, parsed. */
  nextReport(): Promise<unknown>;
  /** Resolves when a request for `/endless` has begun, with a promise of its end. */
  nextEndless(): Promise<{ readonly gone: Promise<void> }>;
  close(): Promise<void>;
}

/** Starts it with one api at `/`, whose origin is described by `answer` below; `page` is what a browser gets at `/page`. */
export async function startClientStage(page = ''): Promise<ClientStage> {
  const authority = makeAuthority('Test authority');
  const certificate = makeCertificate({ name: HOST, hosts: [HOST, 'localhost'], issuer: authority, usage: 'server' });
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-clients-'));
  const authorityFile = join(folder, 'authority.pem');
  await writeFile(authorityFile, authority.certificate);
  const origin = await startEchoOrigin(page);
  const product = await startProduct({ environment: { SALLYPORT_PROXY_TLS_LISTEN: '127.0.0.1:0' } });
  const admin = await connectAdmin(product);
  await admin.call('PUT', '/v1/certificates/gateway', {
    certificate: certificate.chain,
    privateKey: certificate.privateKey,
  });
  await admin.call('POST', '/v1/apis?wait=applied', {
    name: 'origin',
    upstream: origin.url,
    routes: [{ paths: ['/'] }],
  });
  return {
    product,
    admin,
    url: product.urls.proxy,
    port: Number(new URL(product.urls.proxy).port),
    tlsPort: Number(new URL(product.urls.proxyTls ?? '').port),
    authority: authority.certificate,
    authorityFile,
    nextReport: origin.nextReport,
    nextEndless: origin.nextEndless,
    async close() {
      await product.stop();
      await origin.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

interface EchoOrigin extends Pick<ClientStage, 'nextReport' | 'nextEndless' | 'close'> {
  readonly url: string;
}

async function startEchoOrigin(page: string): Promise<EchoOrigin> {
  const reports = createQueue<unknown>();
  const endless = createQueue<{ readonly gone: Promise<void> }>();
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://origin');
    if (pathname === '/page') response.setHeader('content-type', 'text/html').end(page);
    else if (pathname === '/bytes') {
      const bytes = Buffer.alloc(Number(searchParams.get('count')), 'x');
      response.setHeader('content-length', bytes.length).end(bytes);
    } else if (pathname === '/echo') request.pipe(response);
    else if (pathname === '/digest') digest(request, response);
    else if (pathname === '/report') {
      // Not before the whole of it came: whoever answers early may never get the rest.
      readText(request, (text) => {
        reports.put(JSON.parse(text));
        response.end();
      });
    } else if (pathname === '/endless') {
      response.write('begun');
      endless.put({ gone: new Promise((resolve) => response.once('close', resolve)) });
    } else response.end(`${request.method} ${request.url}`);
  });
  const sockets = new WebSocketServer({
    server,
    perMessageDeflate: true,
    handleProtocols: (offers) => [...offers].at(-1) ?? false,
  });
  sockets.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    nextReport: reports.take,
    nextEndless: endless.take,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets.clients) socket.terminate();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Answers with the number of bytes of a body and what they hash to. */
function digest(request: IncomingMessage, response: ServerResponse): void {
  const hash = createHash('sha256');
  let count = 0;
  request.on('data', (bytes: Buffer) => {
    count += bytes.length;
    hash.update(bytes);
  });
  request.on('end', () => response.end(`${count} ${hash.digest('hex')}`));
}

function readText(request: IncomingMessage, take: (text: string) => void): void {
  let text = '';
  request.setEncoding('utf8');
  request.on('data', (piece: string) => {
    text += piece;
  });
  request.on('end', () => take(text));
}

function createQueue<Item>(): { put(item: Item): void; take(): Promise<Item> } {
  const items: Item[] = [];
  const takers: ((item: Item) => void)[] = [];
  return {
    put(item) {
      const taker = takers.shift();
      if (taker) taker(item);
      else items.push(item);
    },
    take() {
      const item = items.shift();
      return item === undefined ? new Promise((resolve) => takers.push(resolve)) : Promise.resolve(item);
    },
  };
}
