// `sallyport plugin publish`: hands a signed package to the marketplace.
// Must not judge the package: the marketplace does.
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Check } from '../../../admin/marketplace/checks/check.ts';
import type { KeyEntry } from '../../../gateway/package/keys.ts';
import { type AdminCall, callAdmin } from '../../admin-client.ts';
import type { Command } from '../../command.ts';
import { CommandError, type Output } from '../../output.ts';
import type { Settings } from '../../settings.ts';
import { ENVELOPE_SUFFIX } from './sign.ts';

interface VersionAnswer {
  readonly plugin: string;
  readonly version: string;
  readonly sha256: string;
  readonly state: string;
  readonly checks: readonly Check[];
}

/** Shows the checks first, and publishes only what can pass a review. */
export const pluginPublishCommand: Command = {
  name: 'plugin publish',
  usage: 'PACKAGE',
  summary: 'hands a signed package to the marketplace',
  details:
    `Sends a package and PACKAGE${ENVELOPE_SUFFIX} to the marketplace, where it waits for a review. What fails a check is not\n` +
    'published, for a version is used up by its first package. The admin service is found at SALLYPORT_ADMIN_URL, the token of\n' +
    'a publisher in SALLYPORT_ADMIN_TOKEN or the data directory.',
  examples: [
    'sallyport plugin publish acme-stamp-1.0.0.tgz',
    'sallyport plugin publish acme-stamp-1.0.0.tgz --register publisher.key.pub',
    'sallyport plugin publish acme-stamp-1.0.0.tgz --dry-run',
  ],
  options: {
    'dry-run': { type: 'boolean', description: 'shows the checks; registers and publishes nothing' },
    register: {
      type: 'string',
      value: 'FILE.pub',
      description: 'registers the namespace, which nobody has yet, with this public key first',
    },
  },
  minArguments: 1,
  maxArguments: 1,
  async run({ arguments: [file = ''], options, values, readSettings, output }) {
    const settings = readSettings();
    const isDryRun = options['dry-run'] === true;
    const bytes = await readInput(file);
    const envelope: unknown = JSON.parse((await readInput(`${file}${ENVELOPE_SUFFIX}`)).toString('utf8'));
    const body = { package: bytes.toString('base64'), envelope };
    const keyFile = values['register'];
    if (keyFile !== undefined) {
      const { readKeyToRegister, register } = await import('../../plugin/registration.ts');
      const key = readKeyToRegister(keyFile, (await readInput(keyFile)).toString('utf8'));
      const namespace = await findNamespace(file, bytes);
      const isNew = await register(settings, { namespace, key, isDryRun });
      if (!isNew) output.print(`the namespace ${namespace} has this key already`);
      else output.print(`${isDryRun ? 'would register' : 'registered'} the namespace ${namespace}, key ${key.keyid}`);
      // The marketplace previews nothing for a namespace that nobody has.
      if (isNew && isDryRun) {
        showChecks(await checkHere(file, body, key), output);
        output.print('not checked: whether another namespace looks like it; nothing was registered or published');
        return 0;
      }
    }
    const preview = await call<{ readonly checks?: readonly Check[] }>(
      settings,
      'v1/marketplace/plugins?dryRun=true',
      body,
    );
    // Without checks it is there already: the same bytes again are answered with what is known of them.
    showChecks(preview.checks ?? [], output);
    if (isDryRun) return 0;
    const { plugin, version, sha256, state } = await call<VersionAnswer>(settings, 'v1/marketplace/plugins', body);
    output.print(`${plugin} ${version}, sha256 ${sha256}, is ${state}`);
    return 0;
  },
};

/** Prints the checks. @throws CommandError when one failed */
function showChecks(checks: readonly Check[], output: Output): void {
  for (const { name, result, detail } of checks) output.print(`${result.padEnd(8)}${name.padEnd(14)}${detail}`);
  if (checks.some(({ result }) => result === 'failed')) {
    throw new CommandError('a check failed, and that blocks a review; nothing was published');
  }
}

/** Runs the marketplace's checks here, as far as they need nothing but the package and the key it is to be known by. */
async function checkHere(
  file: string,
  body: { readonly package: string; readonly envelope: unknown },
  key: KeyEntry,
): Promise<readonly Check[]> {
  const [{ openSubmission }, { checkSubmission }, { checkStanding }, { AdminError }] = await Promise.all([
    import('../../../admin/marketplace/submission.ts'),
    import('../../../admin/marketplace/checks/submission.ts'),
    import('../../../admin/marketplace/checks/standing.ts'),
    import('../../../admin/errors.ts'),
  ]);
  try {
    const submission = openSubmission(Buffer.from(body.package, 'base64'), body.envelope);
    const standing = checkStanding(submission, { keys: [key], namespaces: [], before: undefined });
    return [...(await checkSubmission(submission)), ...standing.filter(({ name }) => name !== 'namespace')];
  } catch (error) {
    if (error instanceof AdminError) throw new CommandError(`${file}: ${error.message}`);
    throw error;
  }
}

async function findNamespace(file: string, bytes: Buffer): Promise<string> {
  const [{ openPackage }, { PackageError }] = await Promise.all([
    import('../../../gateway/package/package.ts'),
    import('../../../gateway/package/errors.ts'),
  ]);
  try {
    return openPackage(bytes).manifest.name.split('/')[0] ?? '';
  } catch (error) {
    if (error instanceof PackageError) throw new CommandError(`${file}: ${error.message} (${error.code})`);
    throw error;
  }
}

async function call<Answer>(settings: Settings, path: string, body: unknown): Promise<Answer> {
  const post: AdminCall = { method: 'POST', path, body: { type: 'application/json', text: JSON.stringify(body) } };
  return JSON.parse(await callAdmin(settings, post)) as Answer;
}

async function readInput(file: string): Promise<Buffer> {
  try {
    return await readFile(resolve(file));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    const hint = file.endsWith(ENVELOPE_SUFFIX) ? '; `sallyport plugin sign` makes it' : '';
    throw new CommandError(`cannot read ${file}: ${code === 'ENOENT' ? `there is no such file${hint}` : code}`);
  }
}
