// `sallyport import openapi`: an OpenAPI document as an api with routes and plugins.
// Must not do the work itself: cli/import does.
import type { Command } from '../../command.ts';
import { checkImportCall, finishImport, IMPORT_ADVICE, IMPORT_OPTIONS } from '../../import/finish.ts';

/** Prints what an OpenAPI document becomes. */
export const importOpenapiCommand: Command = {
  name: 'import openapi',
  usage: 'FILE',
  summary: 'turns an OpenAPI document into an api',
  details:
    'Reads an OpenAPI document (3.0 or 3.1, YAML or JSON; `-` is the standard input) and prints an api that `sallyport apply`\n' +
    'takes: a route for every path, the methods of its operations, and plugins that ask for its security.\n' +
    `${IMPORT_ADVICE}`,
  examples: [
    'sallyport import openapi petstore.yaml --upstream http://pets:8080',
    'sallyport import openapi petstore.yaml --name pets --output pets.yaml && sallyport apply pets.yaml --merge',
  ],
  options: {
    upstream: { type: 'string', value: 'URL', description: 'where requests go, in the place of servers[0]' },
    name: { type: 'string', value: 'NAME', description: 'name of the api, in the place of one made of info.title' },
    ...IMPORT_OPTIONS,
  },
  minArguments: 1,
  maxArguments: 1,
  async run(input) {
    checkImportCall(input, 'import openapi');
    const { readSource } = await import('../../import/source.ts');
    const { importOpenapi } = await import('../../import/openapi/import-openapi.ts');

    const { values } = input;
    const [path = ''] = input.arguments;
    const draft = importOpenapi(await readSource(path), { path, name: values['name'], upstream: values['upstream'] });
    return await finishImport(draft, input);
  },
};
