// How commands install plugins: what a version may do is shown, and agreed to, before it is granted.
// Must not agree for whoever runs the command.
import { readFile } from 'node:fs/promises';
import { AdminRefusal, callAdmin, type ProblemAnswer } from '../admin-client.ts';
import { type DiffAnswer, describeDiff } from '../diff-text.ts';
import { CommandError } from '../output.ts';
import type { Settings } from '../settings.ts';

const NAME = /^([a-z0-9][a-z0-9-]{0,63}\/[a-z0-9][a-z0-9-]{0,63})(?:@(\d+\.\d+\.\d+))?$/;
const SECRET_LINE = /^([A-Za-z][A-Za-z0-9_]*)=(.*)$/;

/** Is an install as the admin service shows it. */
export interface ShownInstall {
  readonly plugin: string;
  readonly version: string;
  readonly tier: string;
  readonly bindings: number;
  readonly previous?: { readonly version: string };
}

/** Is a plugin that an argument names. */
export interface NamedPlugin {
  readonly plugin: string;
  readonly version: string | undefined;
}

/** Reads `namespace/name` or `namespace/name@1.2.3`. @throws CommandError */
export function readPluginName(text: string): NamedPlugin {
  const [, plugin, version] = NAME.exec(text) ?? [];
  if (plugin === undefined) throw new CommandError(`expected a plugin like acme/hello@1.2.0, not ${text}`, 2);
  return { plugin, version };
}

/** Reads `namespace/name@1.2.3`. @throws CommandError when there is no version: what is installed is never "the latest" */
export function readPinnedName(text: string): { readonly plugin: string; readonly version: string } {
  const { plugin, version } = readPluginName(text);
  if (version === undefined) throw new CommandError(`expected a version too, like ${plugin}@1.2.0`, 2);
  return { plugin, version };
}

/** Reads lines `NAME=value`. @throws CommandError that repeats no value */
export async function readSecrets(path: string | undefined): Promise<Readonly<Record<string, string>> | undefined> {
  if (path === undefined) return undefined;
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new CommandError(`${path} cannot be read: ${error.code ?? error.message}`);
  });
  const secrets: Record<string, string> = {};
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line === '' || line.startsWith('#')) continue;
    const [, name, value] = SECRET_LINE.exec(line) ?? [];
    if (name === undefined || value === undefined) throw new CommandError(`${path}:${index + 1}: expected NAME=value`);
    secrets[name] = value;
  }
  return secrets;
}

/** Is a write of an install. */
export interface InstallWrite {
  readonly method: 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly body?: Readonly<Record<string, unknown>> | undefined;
  /** Agrees to whatever the version asks for. */
  readonly isGranted?: boolean | undefined;
  readonly isDryRun?: boolean | undefined;
}

/** Is the install as it is then, or what a dry run would change; undefined when the install is gone. */
type InstallAnswer = ShownInstall | DiffAnswer | undefined;

/** Writes, waits for the nodes, and gives what became of it. @throws CommandError that says how to agree to what a version asks for */
export async function writeInstall(settings: Settings, write: InstallWrite): Promise<InstallAnswer> {
  try {
    return await send(settings, write, write.body);
  } catch (error) {
    if (!(error instanceof AdminRefusal) || error.answer.code !== 'CONSENT_REQUIRED') throw error;
    const { wanted } = error.answer as ProblemAnswer & { readonly wanted?: unknown };
    if (write.isGranted && wanted !== undefined) return await send(settings, write, { ...write.body, granted: wanted });
    throw new CommandError(`${error.message}\nTo agree to all of it: --grant`);
  }
}

async function send(
  settings: Settings,
  { method, path, isDryRun = false }: InstallWrite,
  body: InstallWrite['body'],
): Promise<InstallAnswer> {
  const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  const text = await callAdmin(settings, {
    method,
    path: `v1/installs${path}?${isDryRun ? 'dryRun=true' : 'wait=applied'}`,
    ...(body === undefined ? {} : { body: { type, text: JSON.stringify(body) } }),
  });
  return text === '' ? undefined : JSON.parse(text);
}

/** Says what a write did; `done` names what was done, and to which plugin. */
export function describeWrite(answer: InstallAnswer, done: string): string {
  if (answer === undefined) return `${done}.`;
  return 'counts' in answer ? describeDiff(answer) : `${done}@${answer.version}; every gateway runs it.`;
}
