// `sallyport export`: the configuration as a file that `apply` takes.
// Must not change anything.
import { callAdmin } from '../admin-client.ts';
import type { Command } from '../command.ts';
import { CommandError } from '../output.ts';

/** Prints the configuration. */
export const exportCommand: Command = {
  name: 'export',
  usage: '',
  summary: 'prints the configuration as YAML or JSON',
  details:
    'Prints the whole configuration in the form that `sallyport apply` takes. Secrets appear only hashed or sealed.\n' +
    'The admin service is found at SALLYPORT_ADMIN_URL, the token in SALLYPORT_ADMIN_TOKEN or the data directory.',
  examples: ['sallyport export > sallyport.yaml', 'sallyport export --json | jq .apis'],
  options: {
    yaml: { type: 'boolean', description: 'writes YAML (the default)' },
    json: { type: 'boolean', description: 'writes JSON' },
  },
  minArguments: 0,
  maxArguments: 0,
  async run({ options, readSettings, output }) {
    if (options['yaml'] && options['json'])
      throw new CommandError('sallyport export: expected --yaml or --json, not both', 2);
    const accept = options['json'] ? 'application/json' : 'application/yaml';
    const text = await callAdmin(readSettings(), { method: 'GET', path: 'v1/config', accept });
    output.print((options['json'] ? JSON.stringify(JSON.parse(text), null, 2) : text).trimEnd());
    return 0;
  },
};
