// `sallyport check`: says what is wrong with a configuration file, without a database or an admin service.
// Must not check by rules of its own: it runs the admin's.
import { describeProblems } from '../admin-client.ts';
import type { Command } from '../command.ts';
import { type ConfigFile, readConfigFile } from '../config-file.ts';
import { CommandError } from '../output.ts';
import type { Settings } from '../settings.ts';

interface Problem {
  readonly pointer: string;
  readonly message: string;
}

/** Matches what the admin says of what the key does not open. */
const SEALED_OTHERWISE = /sealed with this installation's key$/;

/** Checks a file as PUT /v1/config would into an empty Sallyport. */
export const checkCommand: Command = {
  name: 'check',
  usage: 'FILE',
  summary: 'checks a configuration file, offline',
  details:
    'Checks a configuration file (JSON, or else YAML; `-` is the standard input) by the rules of the admin service: fields,\n' +
    'references, unique names, paths, and the configuration of every plugin installed here. Nothing is contacted: of what the\n' +
    'marketplace installs, permissions and configurations are not checked.\n' +
    'Sealed secrets of an export are opened with SALLYPORT_SECRET_KEY, or the key in the data directory.',
  examples: ['sallyport check sallyport.yaml', 'sallyport export | sallyport check -'],
  options: {},
  minArguments: 1,
  maxArguments: 1,
  async run({ arguments: [path = ''], readSettings, output }) {
    const settings = readSettings();
    const counts = await checkFile(path, await readConfigFile(path), settings);
    output.print(`${path} is fine: ${counts}`);
    return 0;
  },
};

async function checkFile(path: string, file: ConfigFile, settings: Settings): Promise<string> {
  const { AdminError } = await import('../../admin/errors.ts');
  try {
    return await readAndCheck(file, settings);
  } catch (error) {
    if (error instanceof Error && error.name === 'PluginError') throw new CommandError(error.message);
    if (!(error instanceof AdminError)) throw error;
    const problems = await explainSealed(error.options.problems ?? [], settings);
    throw new CommandError(`${path}: ${problems.length === 0 ? error.message : `\n${describeProblems(problems)}`}`);
  }
}

/** What nothing was found to open with is no fault of the file: says so of secrets that the admin calls sealed otherwise. */
async function explainSealed(problems: readonly Problem[], settings: Settings): Promise<readonly Problem[]> {
  const { findSecretKey, secretKeyFile } = await import('../secret-key.ts');
  if ((await findSecretKey(settings)) !== undefined) return problems;
  const message =
    `it is sealed, and no key to open it was found, neither in SALLYPORT_SECRET_KEY nor in ${secretKeyFile(settings)}; ` +
    'set SALLYPORT_SECRET_KEY, or SALLYPORT_DATA_DIR to the data directory of the Sallyport that exported it';
  return problems.map((one) => (SEALED_OTHERWISE.test(one.message) ? { ...one, message } : one));
}

async function readAndCheck(file: ConfigFile, settings: Settings): Promise<string> {
  const [{ readJson }, { readYaml }, { checkConfig }] = await Promise.all([
    import('../../admin/middleware/json.ts'),
    import('../../admin/middleware/yaml.ts'),
    import('../check-config.ts'),
  ]);
  const bytes = Buffer.from(file.text);
  return await checkConfig(await (file.type === 'application/json' ? readJson(bytes) : readYaml(bytes)), settings);
}
