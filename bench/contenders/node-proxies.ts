// Runs the proxies of the Node world that Sallyport is compared with, each in a process of its own.
// Must not configure them: the scripts in servers/ do.
import { fileURLToPath } from 'node:url';
import { readPort, startProcess, stopProcess } from '../processes.ts';
import { type Contender, PLAIN_REQUESTS } from './contender.ts';

function defineScript(name: string, description: string, script: string): Contender {
  return {
    name,
    description,
    findObstacle: () => undefined,
    async start({ cores, upstreamPort }) {
      const path = fileURLToPath(new URL(`../servers/${script}`, import.meta.url));
      const command = [process.execPath, path, `http://127.0.0.1:${upstreamPort}`];
      const child = startProcess(command, { core: cores.gateway, env: { NODE_ENV: 'production' } });
      return {
        port: await readPort(child),
        pid: child.pid ?? 0,
        requests: PLAIN_REQUESTS,
        checkWork: async () => {},
        async close() {
          await stopProcess(child);
          return [];
        },
      };
    },
  };
}

/** Is http-proxy, bare. */
export const httpProxy: Contender = defineScript('http-proxy', 'bare, keep-alive agent', 'http-proxy.js');

/** Is @fastify/http-proxy with its defaults. */
export const fastify: Contender = defineScript('fastify', '@fastify/http-proxy, defaults', 'fastify-http-proxy.js');
