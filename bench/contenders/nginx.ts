// Runs nginx as a bare proxy with one worker: the yardstick. Also starts nginx for the upstream.
// Must not give nginx less than a sound set-up: kept-alive connections on both sides, no access log.
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type Core, findFreePort, isInstalled, startProcess, stopProcess } from '../processes.ts';
import { type Contender, type LoadRequest, PLAIN_REQUESTS } from './contender.ts';

/** Never closes a connection for its count of requests: the default of 1000 would measure reconnecting as well. */
const KEEP_ALIVE = 'keepalive_requests 1000000000;';
const START_TRIES = 200;
const START_PAUSE_MS = 25;

/** Describes one nginx. */
export interface NginxOptions {
  readonly directory: string;
  readonly core: Core;
  /** Directives of the server block. */
  readonly server: string;
  /** Directives of the http block. */
  readonly http?: string;
  /** Parameters of `listen`, such as `ssl http2`. */
  readonly listen?: string;
}

/** Is a running nginx. */
export interface Nginx {
  readonly port: number;
  readonly pid: number;
  close(): Promise<void>;
}

function buildConfig(port: number, { server, http = '', listen = '' }: NginxOptions): string {
  return `worker_processes 1; daemon off; pid nginx.pid; error_log stderr error;
events { worker_connections 4096; }
http {
  access_log off; ${http}
  server { listen 127.0.0.1:${port} ${listen}; ${KEEP_ALIVE} ${server} }
}
`;
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Starts one nginx with one worker. @throws Error when it does not listen in time. */
export async function startNginx(options: NginxOptions): Promise<Nginx> {
  const port = await findFreePort();
  mkdirSync(options.directory, { recursive: true });
  writeFileSync(join(options.directory, 'nginx.conf'), buildConfig(port, options));
  const command = ['nginx', '-e', 'stderr', '-p', options.directory, '-c', 'nginx.conf'];
  const child = startProcess(command, { core: options.core });
  for (let tries = 0; child.exitCode === null && tries < START_TRIES; tries += 1) {
    if (await isListening(port)) return { port, pid: child.pid ?? 0, close: () => stopProcess(child) };
    await wait(START_PAUSE_MS);
  }
  await stopProcess(child);
  throw new Error('nginx did not start');
}

/** Describes nginx as a reverse proxy. */
export interface NginxProxyOptions {
  readonly description: string;
  /** Speak HTTP/2 to clients. */
  readonly isHttp2?: boolean;
  /** Directives of the only location. The upstream is called `orders`. */
  readonly location: string;
  /** Directives of the http block. */
  readonly http?: string;
  readonly requests?: readonly LoadRequest[];
}

/** Defines nginx as a reverse proxy that does nothing else. */
export function defineNginx(options: NginxProxyOptions): Contender {
  const { description, isHttp2 = false, location, http = '', requests = PLAIN_REQUESTS } = options;
  return {
    name: 'nginx',
    description,
    findObstacle: () => (isInstalled('nginx', '-v') ? undefined : 'nginx is not installed'),
    async start({ directory, cores, upstreamPort, certificate }) {
      const tls = certificate
        ? `ssl_certificate ${certificate.certificateFile}; ssl_certificate_key ${certificate.privateKeyFile};`
        : '';
      const running = await startNginx({
        directory,
        core: cores.gateway,
        http: `${http} upstream orders { server 127.0.0.1:${upstreamPort}; keepalive 128; ${KEEP_ALIVE} }`,
        listen: `${certificate ? 'ssl' : ''} ${isHttp2 ? 'http2' : ''}`,
        server: `${tls} location / { ${location} }`,
      });
      return {
        port: running.port,
        pid: running.pid,
        requests,
        checkWork: async () => {},
        async close() {
          await running.close();
          return [];
        },
      };
    },
  };
}

/** Forwards over kept-alive connections. */
export const FORWARD = 'proxy_pass http://orders; proxy_http_version 1.1; proxy_set_header Connection "";';

/** Is nginx as a bare reverse proxy. */
export const nginx: Contender = defineNginx({ description: 'bare reverse proxy, one worker', location: FORWARD });
