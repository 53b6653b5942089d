// Asks for a passphrase: of a file, of the environment, or of the person at the terminal.
// Must not print one, nor take one as an argument: other users of a machine see those.
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { CommandError } from '../output.ts';

/** Says where a passphrase may come from, in this order. */
export interface PassphraseSources {
  /** First line of this file. */
  readonly file: string | undefined;
  readonly environment: string | undefined;
}

/** A guess costs 50 ms, so what is shorter is found in days. */
const MIN_LENGTH = 8;

/** Gives the passphrase of an encrypted key. @throws CommandError when there is nobody to ask. */
export async function findPassphrase(sources: PassphraseSources, question: string): Promise<string> {
  const given = sources.file === undefined ? sources.environment : await readFirstLine(sources.file);
  if (given !== undefined) return given;
  if (process.stdin.isTTY !== true) {
    throw new CommandError(
      'the key needs a passphrase, and there is no terminal to ask at: use --passphrase-file or SALLYPORT_KEY_PASSPHRASE',
      2,
    );
  }
  return ask(question);
}

/** Gives a passphrase for a new key; at a terminal it is asked for twice. @throws CommandError when it is too short, or mistyped. */
export async function findNewPassphrase(sources: PassphraseSources): Promise<string> {
  const isAsked = sources.file === undefined && sources.environment === undefined;
  const passphrase = await findPassphrase(sources, 'Passphrase for the new key: ');
  if (passphrase.length < MIN_LENGTH) {
    throw new CommandError(`the passphrase is shorter than ${MIN_LENGTH} characters`);
  }
  if (isAsked && (await ask('Once more: ')) !== passphrase)
    throw new CommandError('the two differ; nothing was written');
  return passphrase;
}

async function readFirstLine(path: string): Promise<string> {
  try {
    const [line = ''] = (await readFile(path, 'utf8')).split(/\r?\n/);
    return line;
  } catch (error) {
    throw new CommandError(`--passphrase-file: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function ask(question: string): Promise<string> {
  // What is typed is echoed to the interface's output, so that goes nowhere.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  process.stderr.write(question);
  try {
    return await terminal.question('');
  } finally {
    terminal.close();
    process.stderr.write('\n');
  }
}
