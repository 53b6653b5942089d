// Runs the upstream behind every gateway: nginx with a fixed answer, else a few lines on sockets.
// Must cost less per request than any gateway under test, else it would be the thing measured.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ANSWER_BODY } from './answer.ts';
import { startNginx } from './contenders/nginx.ts';
import { type Core, isInstalled, readPort, startProcess, stopProcess } from './processes.ts';

/** Is a running upstream. */
export interface BenchUpstream {
  readonly description: string;
  readonly port: number;
  close(): Promise<void>;
}

/** Starts the upstream on a core. */
export async function startUpstream(directory: string, core: Core): Promise<BenchUpstream> {
  if (isInstalled('nginx', '-v')) {
    const server = `default_type application/json; location / { return 200 '${ANSWER_BODY}'; }`;
    const nginx = await startNginx({ directory: join(directory, 'upstream'), core, server });
    return { description: 'nginx `return 200`', port: nginx.port, close: nginx.close };
  }
  const script = fileURLToPath(new URL('./servers/socket-upstream.js', import.meta.url));
  const child = startProcess([process.execPath, script], { core });
  return { description: 'node:net', port: await readPort(child), close: () => stopProcess(child) };
}
