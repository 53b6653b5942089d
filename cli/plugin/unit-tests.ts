// Checks the types of a plugin's project and runs its unit tests, each in a process of its own.
// Must not need what a project has not: without TypeScript types go unchecked, and that is said.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { bundleTests } from './bundle.ts';

/** Is how a step went. */
export interface StepResult {
  readonly ok: boolean;
  /** In a few words: what was found, or why nothing was done. */
  readonly summary: string;
  /** What the tool printed; empty when there is nothing to read. */
  readonly details: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Names the folder for what is built and thrown away. */
const BUILD_FOLDER = '.sallyport/test';
const TEST_FOLDERS = ['src', 'test'];

/** Checks types by the project's own tsconfig.json files. */
export async function checkTypes(folder: string, environment: Environment): Promise<StepResult> {
  const compiler = findTypeScript(folder);
  if (compiler === undefined) {
    return { ok: true, summary: 'not checked: TypeScript is not installed here (npm install)', details: '' };
  }
  const projects = ['tsconfig.json', 'test/tsconfig.json'].filter((path) => existsSync(join(folder, path)));
  if (projects.length === 0) return { ok: true, summary: 'not checked: there is no tsconfig.json', details: '' };
  const outputs: string[] = [];
  for (const path of projects) {
    const { code, output } = await runNode([compiler.path, '--noEmit', '--project', path], folder, environment);
    if (code !== 0) outputs.push(output.trim());
  }
  const summary = `TypeScript ${compiler.version}`;
  return { ok: outputs.length === 0, summary, details: outputs.join('\n') };
}

/** Runs every *.test.ts below src/ and test/ with Node's own runner. @throws BundleError when one does not compile. */
export async function runUnitTests(folder: string, environment: Environment): Promise<StepResult> {
  const files = await findTests(folder);
  if (files.length === 0) return { ok: true, summary: 'none', details: '' };
  const outdir = join(folder, BUILD_FOLDER);
  await rm(outdir, { recursive: true, force: true });
  await bundleTests(folder, files, outdir);
  const built = files.map((file) => join(BUILD_FOLDER, file.replace(/\.ts$/, '.mjs')));
  const { code, output } = await runNode(['--enable-source-maps', '--test', ...built], folder, environment);
  const counts = ['pass', 'fail'].map(
    (word) => `${new RegExp(`^\\S+ ${word} (\\d+)`, 'm').exec(output)?.[1] ?? 0} ${word}ed`,
  );
  return { ok: code === 0, summary: counts.join(', '), details: code === 0 ? '' : output.trim() };
}

async function findTests(folder: string): Promise<readonly string[]> {
  const found = await Promise.all(
    TEST_FOLDERS.map(async (name) => {
      const files = await readdir(join(folder, name), { recursive: true }).catch((): string[] => []);
      return files.filter((file) => file.endsWith('.test.ts')).map((file) => `${name}/${file.replaceAll('\\', '/')}`);
    }),
  );
  return found.flat().sort();
}

/** Finds the project's own TypeScript, else the one that Sallyport was built with, if that is still there. */
function findTypeScript(folder: string): { readonly path: string; readonly version: string } | undefined {
  for (const from of [join(folder, 'package.json'), import.meta.url]) {
    try {
      const manifest = createRequire(from).resolve('typescript/package.json');
      const { version } = createRequire(from)(manifest) as { readonly version: string };
      return { path: join(dirname(manifest), 'bin', 'tsc'), version };
    } catch {}
  }
  return undefined;
}

async function runNode(
  words: readonly string[],
  cwd: string,
  environment: Environment,
): Promise<{ readonly code: number | null; readonly output: string }> {
  // A runner that finds itself inside another reports to that one, and in its format.
  const { NODE_TEST_CONTEXT: _context, ...env } = environment;
  const child = spawn(process.execPath, [...words], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: code as number | null, output: stdout + stderr };
}
