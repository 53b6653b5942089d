// `sallyport apply`: makes the configuration what a file says, all of it or nothing.
// Must not judge the file: the admin service does.
import { callAdmin } from '../admin-client.ts';
import type { Command } from '../command.ts';
import { readConfigFile } from '../config-file.ts';
import { type DiffAnswer, describeDiff } from '../diff-text.ts';

/** Sends a file to PUT /v1/config and shows what changed. */
export const applyCommand: Command = {
  name: 'apply',
  usage: 'FILE',
  summary: 'makes the configuration what a file says',
  details:
    'Applies a configuration file (JSON, or else YAML; `-` is the standard input): what it lists is made or changed, what it\n' +
    'does not list is removed, in one revision or not at all. Shows what changed. The admin service is found at\n' +
    'SALLYPORT_ADMIN_URL, the token in SALLYPORT_ADMIN_TOKEN or the data directory.',
  examples: [
    'sallyport apply sallyport.yaml --dry-run',
    'sallyport apply sallyport.yaml',
    'sallyport apply team.yaml --merge',
  ],
  options: {
    'dry-run': { type: 'boolean', description: 'shows what would change and changes nothing' },
    merge: { type: 'boolean', description: 'leaves alone what the file does not list' },
    'allow-shrink': { type: 'boolean', description: 'agrees to an empty or much smaller configuration' },
    wait: { type: 'boolean', description: 'returns when every gateway runs the change' },
  },
  minArguments: 1,
  maxArguments: 1,
  async run({ arguments: [path = ''], options, readSettings, output }) {
    const settings = readSettings();
    const { type, text } = await readConfigFile(path);
    const query = new URLSearchParams({ mode: options['merge'] ? 'merge' : 'replace' });
    if (options['dry-run']) query.set('dryRun', 'true');
    if (options['allow-shrink']) query.set('allowShrink', 'true');
    if (options['wait']) query.set('wait', 'applied');

    const answer = await callAdmin(settings, { method: 'PUT', path: `v1/config?${query}`, body: { type, text } });
    output.print(describeDiff(JSON.parse(answer) as DiffAnswer));
    return 0;
  },
};
