// Runs a tutorial as a reader would: commands in one shell, files saved in between, a second terminal beside it.
// Must not know what the tutorial is about.
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mkdirFor } from '../files.ts';

const SECTION = /<!-- walkthrough -->\n(.*?)<!-- \/walkthrough -->/s;
const BLOCK = /^```(sh|sh background|text|(?:json|ts|js) \S+)\n(.*?)^```\n(?:```\n(.*?)^```\n)?/gms;
/** Parts the outputs of two blocks; stands in no real output. */
const BORDER = '\u001e';

/** Is one block of a page. */
export type TutorialBlock =
  | { readonly kind: 'commands'; readonly text: string; readonly output: string }
  /** Runs beside everything that follows. */
  | { readonly kind: 'background'; readonly text: string; readonly output: string }
  | { readonly kind: 'file'; readonly name: string; readonly text: string }
  /** What the second terminal says. */
  | { readonly kind: 'said'; readonly output: string };

/** Reads the blocks between the markers `<!-- walkthrough -->` and `<!-- /walkthrough -->`. */
export function readTutorial(markdown: string): readonly TutorialBlock[] {
  const section = SECTION.exec(markdown)?.[1] ?? '';
  return [...section.matchAll(BLOCK)].map(([, info = '', text = '', output = '']): TutorialBlock => {
    if (info === 'sh') return { kind: 'commands', text, output };
    if (info === 'sh background') return { kind: 'background', text, output };
    if (info === 'text') return { kind: 'said', output: text };
    return { kind: 'file', name: info.split(' ')[1] ?? '', text };
  });
}

/** Says whether `actual` is what a page shows; `...` stands for anything on its line, alone on a line for any lines. */
export function fitsOutput(actual: string, shown: string): boolean {
  return new RegExp(`^${toPattern(shown)}$`).test(actual);
}

/** Matches what a page shows, anywhere in a text; see `fitsOutput`. */
export function outputPattern(shown: string): RegExp {
  return new RegExp(`^${toPattern(shown)}`, 'm');
}

function toPattern(shown: string): string {
  const escaped = shown.replace(/[\\^$*+?()[\]{}|]/g, '\\$&');
  return escaped.replace(/^\.\.\.\n/gm, '(?:.*\\n)*').replaceAll('...', '.*');
}

/** Is a reader at two terminals. */
export interface Reader {
  /** Runs commands and gives what they printed. @throws Error when one fails. */
  run(commands: string): Promise<string>;
  /** Starts a command in the second terminal and waits until it has said `ready`. */
  start(commands: string, ready: RegExp): Promise<void>;
  /** Saves files, and waits until the second terminal says `after`, if it runs. */
  save(files: readonly { readonly name: string; readonly text: string }[], after: RegExp): Promise<void>;
  /** Waits until the second terminal has said what fits. */
  hear(pattern: RegExp): Promise<void>;
  close(): Promise<void>;
}

/** Sits down: `home` is where the shell starts, `folder` where files are saved. */
export function openReader(home: string, folder: string, environment: NodeJS.ProcessEnv): Reader {
  const shell = spawn('bash', ['-euo', 'pipefail'], { cwd: home, env: environment });
  let background: ChildProcess | undefined;
  let said = '';
  const hearers = new Set<() => void>();
  const waitFor = (pattern: RegExp, from: number): Promise<void> =>
    new Promise((resolve) => {
      const hear = (): void => {
        if (!pattern.test(said.slice(from))) return;
        hearers.delete(hear);
        resolve();
      };
      hearers.add(hear);
      hear();
    });
  return {
    hear: (pattern) => waitFor(pattern, 0),
    run: (commands) => runInShell(shell, commands),
    async start(commands, ready) {
      // A group of its own: npm and its shell stand between us and the command.
      const child = spawn('bash', ['-c', commands], { cwd: home, env: environment, detached: true });
      background = child;
      const hear = (chunk: Buffer): void => {
        said += chunk.toString('utf8');
        for (const hearer of [...hearers]) hearer();
      };
      child.stdout.on('data', hear);
      child.stderr.on('data', hear);
      await waitFor(ready, 0);
    },
    async save(files, after) {
      for (const { name, text } of files.slice(0, -1)) await writeFile(await mkdirFor(folder, name), text);
      const last = files.at(-1);
      const from = said.length;
      if (last) await writeFile(join(folder, last.name), last.text);
      if (background) await waitFor(after, from);
    },
    async close() {
      shell.stdin.end();
      shell.kill();
      if (background?.pid === undefined) return;
      process.kill(-background.pid, 'SIGTERM');
      await once(background, 'close');
    },
  };
}

async function runInShell(shell: ChildProcessWithoutNullStreams, commands: string): Promise<string> {
  let printed = '';
  let complained = '';
  return new Promise((resolve, reject) => {
    const hear = (chunk: Buffer): void => {
      printed += chunk.toString('utf8');
      if (printed.endsWith(BORDER)) finish(() => resolve(printed.slice(0, -BORDER.length)));
    };
    const hearComplaint = (chunk: Buffer): void => {
      complained += chunk.toString('utf8');
    };
    const fail = (code: number | null): void =>
      finish(() => reject(new Error(`bash ended with ${code} at:\n${commands}\n${printed}${complained}`)));
    const finish = (settle: () => void): void => {
      shell.stdout.off('data', hear);
      shell.stderr.off('data', hearComplaint);
      shell.off('close', fail);
      settle();
    };
    shell.stdout.on('data', hear);
    shell.stderr.on('data', hearComplaint);
    shell.on('close', fail);
    // Commands must not read what comes after them.
    shell.stdin.write(`{\n${commands}\n} < /dev/null\nprintf '${BORDER}'\n`);
  });
}
