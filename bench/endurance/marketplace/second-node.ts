// Runs `sallyport gateway`: one node by itself, beside the admin service of an instance or without any.
// Must not know what it is there for.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { killTree, startProcess, stopProcess } from '../../processes.ts';

const COMMAND = fileURLToPath(new URL('../../../cli/main.js', import.meta.url));
const START_TIMEOUT_MS = 60_000;

/** Is a running node. */
export interface GatewayNode {
  readonly port: number;
  /** Milliseconds from its start until it said that it was ready. */
  readonly readyMs: number;
  kill(): Promise<void>;
  close(): Promise<void>;
}

/** Starts one. @throws Error when it does not get ready */
export async function startGatewayNode(env: Readonly<Record<string, string>>): Promise<GatewayNode> {
  const from = performance.now();
  const child = startProcess([process.execPath, COMMAND, 'gateway'], {
    core: undefined,
    env: {
      NODE_ENV: 'production',
      SALLYPORT_PROXY_LISTEN: '127.0.0.1:0',
      SALLYPORT_STATUS_LISTEN: '127.0.0.1:0',
      SALLYPORT_LOG_LEVEL: 'warn',
      ...env,
    },
  });
  try {
    const port = await readProxyPort(child);
    return {
      port,
      readyMs: performance.now() - from,
      kill: () => killTree(child),
      close: () => stopProcess(child),
    };
  } catch (error) {
    await stopProcess(child);
    throw error;
  }
}

async function readProxyPort(child: ChildProcess): Promise<number> {
  if (child.stdout === null) throw new Error('the process has no stdout');
  const lines = createInterface({ input: child.stdout });
  const signal = AbortSignal.timeout(START_TIMEOUT_MS);
  const [line] = await Promise.race([
    once(lines, 'line', { signal }),
    once(child, 'exit', { signal }).then(([code]) => [`ended with exit code ${code}`]),
  ]);
  const port = /proxy http:\/\/[^:]+:(\d+)/.exec(String(line))?.[1];
  if (port === undefined) throw new Error(`expected the address of the proxy, got: ${line}`);
  return Number(port);
}
