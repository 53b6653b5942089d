// Runs the `sallyport` command as a process, in a folder of a test's choice.
// Must not replace anything of the command.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const MAIN_FILE = fileURLToPath(new URL('../../../cli/main.js', import.meta.url));

/** Is how a command ended. */
export interface CommandResult {
  readonly code: number | null;
  readonly printed: string;
  readonly complained: string;
}

/** Starts `sallyport` with these words. */
export function startCommand(
  words: readonly string[],
  cwd: string,
  environment: Readonly<Record<string, string>> = {},
): ChildProcessWithoutNullStreams {
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], ...environment };
  return spawn(process.execPath, [MAIN_FILE, ...words], { cwd, env });
}

/** Runs `sallyport` with these words to its end. */
export async function runCommand(
  words: readonly string[],
  cwd: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  const child = startCommand(words, cwd, environment);
  child.stdin.end();
  const [printed, complained, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  return { code: code as number | null, printed, complained };
}
