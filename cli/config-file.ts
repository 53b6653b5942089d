// Reads a configuration file: JSON or YAML, told apart by its name, bounded in size.
// Must not know what is in it.
import { readFile, stat } from 'node:fs/promises';
import { CommandError } from './output.ts';

/** Is a file as read. `type` is the media type that PUT /v1/config takes it as. */
export interface ConfigFile {
  readonly text: string;
  readonly type: 'application/json' | 'application/yaml';
}

/** The admin service takes no more. */
const MAX_BYTES = 64 * 1024 * 1024;

/** Reads a configuration file; `-` is the standard input. @throws CommandError when it cannot be read. */
export async function readConfigFile(path: string): Promise<ConfigFile> {
  const text = path === '-' ? await readStandardInput() : await readText(path);
  const isJson = /\.json$/i.test(path) || (path === '-' && /^\s*\{/.test(text));
  return { text, type: isJson ? 'application/json' : 'application/yaml' };
}

async function readText(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > MAX_BYTES) throw new CommandError(`${path} is larger than ${MAX_BYTES / 1024 / 1024} MiB`);
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof CommandError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new CommandError(`cannot read ${path}: ${code === 'ENOENT' ? 'there is no such file' : code}`);
  }
}

async function readStandardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BYTES) throw new CommandError(`the standard input is larger than ${MAX_BYTES / 1024 / 1024} MiB`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
