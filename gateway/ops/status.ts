// The status port: /livez, /readyz and /metrics for probes and scrapers.
// Must not show configuration, secrets or anything of a client.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { EXPOSITION_TYPE } from './exposition.ts';

/** Is what /readyz says. `ageSeconds`: since the configuration was last known to be the newest. */
export interface Readiness {
  readonly isReady: boolean;
  readonly state: 'starting' | 'serving' | 'draining';
  readonly revision: number | null;
  /** Where the configuration in force came from; `disk`: the last good copy, the database is out of reach. */
  readonly source: 'live' | 'disk' | 'none';
  readonly ageSeconds: number;
  readonly workers: { readonly wanted: number; readonly serving: number };
}

/** Says where the status port listens and whom it asks. */
export interface StatusOptions {
  readonly host: string;
  readonly port: number;
  readReadiness(): Readiness;
  writeMetrics(): Promise<string>;
}

/** Is a running status port. */
export interface StatusServer {
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

/** Probes and scrapers are few; a bound so that nobody can starve the keeper of descriptors. */
const MAX_CONNECTIONS = 256;
const REQUEST_TIMEOUT_MS = 10_000;

/** Starts the status port. @throws the system's error, such as EADDRINUSE, when it cannot listen. */
export async function startStatus(options: StatusOptions): Promise<StatusServer> {
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS });
  server.maxConnections = MAX_CONNECTIONS;
  server.on('request', (request, response) => {
    answer(options, request, response).catch(() => response.destroy());
  });

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  // An address object: it listens on TCP.
  const { port } = server.address() as AddressInfo;
  return { host: options.host, port, close: () => closeServer(server) };
}

async function answer(options: StatusOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return send(response.setHeader('allow', 'GET, HEAD'), 405, { error: 'only GET and HEAD' });
  }
  const path = (request.url ?? '').split('?', 1)[0];
  if (path === '/livez') return send(response, 200, { isAlive: true });
  if (path === '/readyz') {
    const readiness = options.readReadiness();
    return send(response, readiness.isReady ? 200 : 503, readiness);
  }
  if (path === '/metrics') {
    const text = await options.writeMetrics();
    response.writeHead(200, { 'content-type': EXPOSITION_TYPE, 'cache-control': 'no-store' }).end(text);
    return;
  }
  send(response, 404, { error: 'only /livez, /readyz and /metrics' });
}

function send(response: ServerResponse, status: number, body: object): void {
  response
    .writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    .end(`${JSON.stringify(body)}\n`);
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
