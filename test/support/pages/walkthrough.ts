// Reads the commands and outputs that a Markdown page shows, and runs the commands as a reader would: in one shell, in order.
// Must not know what the page is about.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

const SECTION = /<!-- walkthrough -->\n(.*?)<!-- \/walkthrough -->/s;
/** A block of commands, and the block of output that follows it without a blank line, if there is one. */
const BLOCKS = /^```sh\n(.*?)^```\n(?:```\n(.*?)^```\n)?/gms;
/** Parts the outputs of two steps; stands in no real output. */
const BORDER = '\u001e';

/** Is one block of commands with what it prints. */
export interface Step {
  readonly commands: string;
  readonly output: string;
}

/** Reads the steps between the markers `<!-- walkthrough -->` and `<!-- /walkthrough -->`. */
export function readSteps(markdown: string): readonly Step[] {
  const section = SECTION.exec(markdown)?.[1] ?? '';
  return [...section.matchAll(BLOCKS)].map(([, commands = '', output = '']) => ({ commands, output }));
}

/** Runs commands in one bash that stops at the first failing one. @throws Error with its stderr when it does. */
export async function runCommands(blocks: readonly string[], cwd: string): Promise<readonly string[]> {
  const script = blocks.map((commands) => `${commands}printf '${BORDER}'\n`).join('');
  const shell = spawn('bash', ['-euo', 'pipefail', '-c', script], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr, [code]] = await Promise.all([text(shell.stdout), text(shell.stderr), once(shell, 'exit')]);
  if (code !== 0) throw new Error(`bash ended with exit code ${code}\n${stdout}${stderr}`);
  return stdout.split(BORDER).slice(0, -1);
}
