// `sallyport check`: says what is wrong with a configuration file, without a database or an admin service.
// Must not check by rules of its own: it runs the admin's.
import { randomBytes } from 'node:crypto';
import { describeProblems } from '../admin-client.ts';
import type { Command } from '../command.ts';
import { type ConfigFile, readConfigFile } from '../config-file.ts';
import { imagineVersions } from '../installs/imagined.ts';
import { CommandError } from '../output.ts';
import { findSecretKey } from '../secret-key.ts';
import type { Settings } from '../settings.ts';

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
    return await buildDocument(file, settings);
  } catch (error) {
    if (error instanceof Error && error.name === 'PluginError') throw new CommandError(error.message);
    if (!(error instanceof AdminError)) throw error;
    const problems = error.options.problems ?? [];
    throw new CommandError(`${path}: ${problems.length === 0 ? error.message : `\n${describeProblems(problems)}`}`);
  }
}

async function buildDocument(file: ConfigFile, settings: Settings): Promise<string> {
  const [{ readJson }, { readYaml }, { readConfigDocument }, { hashPasswordsIn }, { applyConfig }, { Draft }] =
    await Promise.all([
      import('../../admin/middleware/json.ts'),
      import('../../admin/middleware/yaml.ts'),
      import('../../admin/document/read-config.ts'),
      import('../../admin/document/seal.ts'),
      import('../../admin/document/import.ts'),
      import('../../admin/document/draft.ts'),
    ]);
  const [{ EMPTY_DOCUMENT }, { checkDocument }, { atOnce }, { BUILT_IN_PLUGINS, readManifests }, { invalid }] =
    await Promise.all([
      import('../../gateway/core/config.ts'),
      import('../../gateway/core/check.ts'),
      import('../../gateway/core/slicer.ts'),
      import('../../gateway/loader.ts'),
      import('../../admin/errors.ts'),
    ]);

  const bytes = Buffer.from(file.text);
  const body = await (file.type === 'application/json' ? readJson(bytes) : readYaml(bytes));
  const plugins = await readManifests([BUILT_IN_PLUGINS, ...settings.pluginDirs]);
  const draft = new Draft(EMPTY_DOCUMENT, new Date().toISOString());
  // An export holds secrets that this Sallyport has sealed. Without any, every key seals as well as the real one.
  const secretKey = (await findSecretKey(settings)) ?? randomBytes(32);
  const config = await readConfigDocument(await hashPasswordsIn(body, EMPTY_DOCUMENT));
  const locate = await applyConfig(draft, config, {
    isMerge: false,
    allowShrink: true,
    plugins,
    findVersion: imagineVersions(body),
    secretKey,
  });
  const state = atOnce(draft.state());
  const installs = state.installs.size;
  const verdict = atOnce(checkDocument(state, { plugins, consumers: 'here' }));
  if (!verdict.ok) throw invalid(verdict.problems.map((one) => ({ pointer: locate(one), message: one.message })));
  return [
    `${state.apis.size} apis`,
    `${state.upstreams.size} upstreams`,
    `${state.certificates.size} certificates`,
    `${state.consumers.size} consumers`,
    `${state.credentials.size} credentials`,
    `${state.bindings.size} bindings`,
    ...(installs === 0
      ? []
      : [`${installs} installs, whose permissions and configurations the admin service alone can check`]),
  ].join(', ');
}
