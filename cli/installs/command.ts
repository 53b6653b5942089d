// What the commands that write installs have in common: what they take, how they ask, what they print.
// Must not load what they need to run before one runs.
import type { Command, OptionSpec } from '../command.ts';
import type { InstallWrite } from './installs.ts';

/** Is what tells one such command from another. */
export interface InstallCommandSpec extends Pick<Command, 'name' | 'summary' | 'details' | 'examples'> {
  /** Takes `NAMESPACE/NAME@VERSION`, secrets, and consent to what the version asks for; else `NAMESPACE/NAME`. */
  readonly takesVersion: boolean;
  /** Begins the line that is printed when it is done. */
  readonly done: string;
  /** Gives what is asked of the admin service; `version` is empty where none is taken. */
  ask(plugin: string, version: string): Pick<InstallWrite, 'method' | 'path' | 'body'>;
}

const DRY_RUN: OptionSpec = { type: 'boolean', description: 'shows what would change and changes nothing' };
const VERSION_OPTIONS: Command['options'] = {
  grant: { type: 'boolean', description: 'agrees to everything that the version asks for' },
  secrets: { type: 'string', value: 'FILE', description: 'reads secrets of the plugin from lines NAME=value' },
  tier: {
    type: 'string',
    value: 'TIER',
    description: 'where its code runs: auto, native, isolate or process (docs/sandbox.md)',
  },
  'dry-run': DRY_RUN,
};

/** Makes the command that such a spec tells. */
export function defineInstallCommand(spec: InstallCommandSpec): Command {
  const { takesVersion, done, ask, ...words } = spec;
  return {
    ...words,
    usage: takesVersion ? 'NAMESPACE/NAME@VERSION' : 'NAMESPACE/NAME',
    options: takesVersion ? VERSION_OPTIONS : { 'dry-run': DRY_RUN },
    minArguments: 1,
    maxArguments: 1,
    async run({ arguments: [text = ''], options, values, readSettings, output }) {
      const { describeWrite, readPinnedName, readPluginName, readSecrets, writeInstall } = await import(
        './installs.ts'
      );
      const { plugin, version = '' } = takesVersion ? readPinnedName(text) : readPluginName(text);
      const secrets = await readSecrets(values['secrets']);
      const { method, path, body } = ask(plugin, version);
      const answer = await writeInstall(readSettings(), {
        method,
        path,
        body: body && { ...body, ...(secrets && { secrets }), ...(values['tier'] && { tier: values['tier'] }) },
        isGranted: options['grant'],
        isDryRun: options['dry-run'],
      });
      output.print(describeWrite(answer, `${done} ${plugin}`));
      return 0;
    },
  };
}
