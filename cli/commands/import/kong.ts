// `sallyport import kong`: a declarative file of Kong as a configuration of Sallyport.
// Must not do the work itself: cli/import does.
import type { Command } from '../../command.ts';
import { checkImportCall, finishImport, IMPORT_ADVICE, IMPORT_OPTIONS } from '../../import/finish.ts';

/** Prints what a file of Kong becomes. */
export const importKongCommand: Command = {
  name: 'import kong',
  usage: 'FILE',
  summary: "turns Kong's declarative file into a configuration",
  details:
    'Reads a declarative file of Kong (kong.yml: YAML or JSON, format 1.1 to 3.0; `-` is the standard input), as\n' +
    '`deck gateway dump` or `kong config db_export` write it, and prints what `sallyport apply` takes.\n' +
    `${IMPORT_ADVICE}`,
  examples: [
    'sallyport import kong kong.yml --output sallyport.yaml',
    'sallyport import kong kong.yml | sallyport check -',
  ],
  options: IMPORT_OPTIONS,
  minArguments: 1,
  maxArguments: 1,
  async run(input) {
    checkImportCall(input, 'import kong');
    const { readSource } = await import('../../import/source.ts');
    const { importKong } = await import('../../import/kong/import-kong.ts');
    const { compareRoutes } = await import('../../import/kong/order.ts');

    const [path = ''] = input.arguments;
    const kong = importKong(await readSource(path), path);
    return await finishImport(kong.draft, input, () => compareRoutes(kong));
  },
};
