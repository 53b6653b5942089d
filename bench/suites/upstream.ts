// Runs the upstreams behind the gateways: nginx with a fixed answer where it can give it, else a few lines on sockets.
// Must cost less per request than any gateway under test, else it would be the thing measured.
import { fileURLToPath } from 'node:url';
import { ANSWER_BODY } from '../answer.ts';
import { startNginx } from '../contenders/nginx.ts';
import { type Core, isInstalled, readPort, startProcess, stopProcess } from '../processes.ts';

/** Is a running upstream. */
export interface BenchUpstream {
  readonly description: string;
  readonly port: number;
  close(): Promise<void>;
}

async function startScript(script: string, core: Core, description: string): Promise<BenchUpstream> {
  const path = fileURLToPath(new URL(`../servers/${script}`, import.meta.url));
  const child = startProcess([process.execPath, path], { core });
  return { description, port: await readPort(child), close: () => stopProcess(child) };
}

/** Starts the upstream of ordinary requests. */
export async function startHttpUpstream(directory: string, core: Core): Promise<BenchUpstream> {
  if (!isInstalled('nginx', '-v')) return startScript('socket-upstream.js', core, 'node:net');
  const server = `default_type application/json; location / { return 200 '${ANSWER_BODY}'; }`;
  const nginx = await startNginx({ directory, core, server });
  return { description: 'nginx `return 200`', port: nginx.port, close: nginx.close };
}

/** Starts the upstream that echoes WebSocket messages. */
export function startEchoUpstream(_directory: string, core: Core): Promise<BenchUpstream> {
  return startScript('echo-upstream.js', core, 'echo on node:net');
}

/** Starts the upstream of bodies, late and large answers, and upgrades. */
export function startMixedUpstream(core: Core): Promise<BenchUpstream> {
  return startScript('mixed-upstream.js', core, 'node:http');
}

/**
 * Starts the upstream of gRPC calls: HTTP/2 in clear. nginx cannot be this one: it answers before it has read the body, and
 * then resets a stream that another nginx takes for closed.
 */
export function startCallUpstream(_directory: string, core: Core): Promise<BenchUpstream> {
  return startScript('call-upstream.js', core, 'node:http2 in clear');
}
