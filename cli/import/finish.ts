// Ends an import: the draft is made to pass the check, written, and its remarks told.
// Must not know where the draft came from.
import { randomUUID } from 'node:crypto';
import { link, rename, rm, writeFile } from 'node:fs/promises';
import type { CommandInput, OptionSpec } from '../command.ts';
import { CommandError } from '../output.ts';
import type { ImportDraft } from './draft.ts';
import { closeGaps } from './gaps.ts';
import { settle } from './settle.ts';

/** Is the exit code of an import that told of something. */
export const TOLD_EXIT_CODE = 3;

/** Are the options that every import has. */
export const IMPORT_OPTIONS: Readonly<Record<string, OptionSpec>> = {
  format: { type: 'string', value: 'yaml|json', description: 'what is written; yaml unless said' },
  output: {
    type: 'string',
    value: 'FILE',
    description: 'writes to a file that only you can read, not to the standard output',
  },
  force: { type: 'boolean', description: 'lets --output replace a file' },
};

/** Is the end of the help of every import. */
export const IMPORT_ADVICE: string =
  'Nothing is published with less protection than it had: what cannot be translated is told, one line each, and the apis it\n' +
  'touches are written with enabled: false. The result passes `sallyport check`. It may hold secrets.\n' +
  'Exit code 0: all of it is translated. 3: written, and something was told. 1: nothing was written.';

/** Checks how an import is called, before anything is read. @throws CommandError */
export function checkImportCall({ values }: CommandInput, name: string): void {
  const format = values['format'] ?? 'yaml';
  if (format !== 'yaml' && format !== 'json') {
    throw new CommandError(`sallyport ${name}: --format is yaml or json, not ${JSON.stringify(format)}`, 2);
  }
}

/** Writes the configuration and tells the remarks; gives the exit code. `compare` looks at what is left after the check. */
export async function finishImport(draft: ImportDraft, input: CommandInput, compare?: () => void): Promise<number> {
  const { values, options, output } = input;
  const settings = input.readSettings();
  await settle(draft, settings);
  compare?.();
  const counts = await settle(draft, settings);
  // Last, for it only turns apis off: that the check cannot refuse.
  closeGaps(draft);
  const text = await print(draft.toDocument(), values['format']);
  const file = values['output'];
  if (file === undefined) output.print(text);
  else {
    await writePrivately(file, `${text}\n`, options['force'] === true);
    output.print(`${file}: ${counts}`);
  }
  for (const remark of draft.remarks) output.complain(remark);
  return draft.remarks.length === 0 ? 0 : TOLD_EXIT_CODE;
}

async function print(document: Record<string, unknown>, format: string | undefined): Promise<string> {
  if (format === 'json') return JSON.stringify(document, null, 2);
  const { printYaml } = await import('../../admin/middleware/yaml.ts');
  return (await printYaml(document)).trimEnd();
}

/** Writes a file that only its owner can read, whole or not at all. */
async function writePrivately(path: string, text: string, isForced: boolean): Promise<void> {
  // Beside it first: half a file would be worse than none, and a file that is there keeps its mode.
  const beside = `${path}.${randomUUID()}`;
  try {
    await writeFile(beside, text, { flag: 'wx', mode: 0o600 });
    if (isForced) return await rename(beside, path);
    // Unlike a renaming, a link never replaces.
    await link(beside, path);
    await rm(beside);
  } catch (error) {
    await rm(beside, { force: true });
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    const reason = code === 'EEXIST' ? 'it is there already; --force replaces it' : code;
    throw new CommandError(`cannot write ${path}: ${reason}`);
  }
}
