// Runs a file of ours in a child process: text in, text out, bounded in time and size.
// Must not be given a file of anybody else.
import { spawn } from 'node:child_process';

/** Bounds a child. */
export interface ChildBounds {
  /** Longest life, in milliseconds. */
  readonly lifeMs: number;
  /** Longest output that is read. */
  readonly maxBytes: number;
}

/** Gives what the child wrote; undefined when it took too long, wrote too much or died. */
export function runChild(file: string, input: string, { lifeMs, maxBytes }: ChildBounds): Promise<string | undefined> {
  return new Promise((resolve) => {
    // Nothing of our environment: there are keys in it.
    const child = spawn(process.execPath, [file], { env: {}, stdio: ['pipe', 'pipe', 'ignore'] });
    const chunks: Buffer[] = [];
    let size = 0;
    const finish = (text: string | undefined): void => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      resolve(text);
    };
    const timer = setTimeout(() => finish(undefined), lifeMs);
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) finish(undefined);
      else chunks.push(chunk);
    });
    child.once('error', () => finish(undefined));
    child.once('close', (code) => finish(code === 0 ? Buffer.concat(chunks).toString() : undefined));
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}
