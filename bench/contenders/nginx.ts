// Runs nginx as a bare proxy with one worker: the yardstick. Also starts nginx for the upstream.
// Must not give nginx less than a sound set-up: kept-alive connections on both sides, no access log.
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type Core, findFreePort, isInstalled, startProcess, stopProcess } from '../processes.ts';
import { type Contender, PLAIN_REQUESTS } from './contender.ts';

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
}

/** Is a running nginx. */
export interface Nginx {
  readonly port: number;
  readonly pid: number;
  close(): Promise<void>;
}

function buildConfig(port: number, { server, http = '' }: NginxOptions): string {
  return `worker_processes 1; daemon off; pid nginx.pid; error_log stderr error;
events { worker_connections 1024; }
http {
  access_log off; ${http}
  server { listen 127.0.0.1:${port}; ${KEEP_ALIVE} ${server} }
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

/** Is nginx as a bare reverse proxy. */
export const nginx: Contender = {
  name: 'nginx',
  description: 'bare reverse proxy, one worker',
  findObstacle: () => (isInstalled('nginx', '-v') ? undefined : 'nginx is not installed'),
  async start({ directory, cores, upstreamPort }) {
    const running = await startNginx({
      directory,
      core: cores.gateway,
      http: `upstream orders { server 127.0.0.1:${upstreamPort}; keepalive 128; ${KEEP_ALIVE} }`,
      server: 'location / { proxy_pass http://orders; proxy_http_version 1.1; proxy_set_header Connection ""; }',
    });
    return {
      port: running.port,
      pid: running.pid,
      requests: PLAIN_REQUESTS,
      checkWork: async () => {},
      async close() {
        await running.close();
        return [];
      },
    };
  },
};
