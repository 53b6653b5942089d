// `sallyport plugin sign`: a publisher's signature over a package.
// Must not sign what it has not opened.
import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from '../../command.ts';
import { CommandError } from '../../output.ts';

/** Names the file of the envelope beside that of its package. */
export const ENVELOPE_SUFFIX = '.dsse.json';

/** Writes the envelope beside the package. */
export const pluginSignCommand: Command = {
  name: 'plugin sign',
  usage: 'PACKAGE',
  summary: 'signs a package',
  details:
    'Opens a package, states what it is (name, version, digests of all its files) and signs that with a private key. Writes\n' +
    `PACKAGE${ENVELOPE_SUFFIX}. The passphrase comes from --passphrase-file, SALLYPORT_KEY_PASSPHRASE or the terminal.`,
  examples: [
    'sallyport plugin sign acme-stamp-1.0.0.tgz --key publisher.key',
    'sallyport plugin sign acme-stamp-1.0.0.tgz --key publisher.key --commit "$(git rev-parse HEAD)"',
  ],
  options: {
    key: { type: 'string', value: 'FILE', description: 'private key, as keygen writes it (publisher.key)' },
    'passphrase-file': { type: 'string', value: 'FILE', description: 'file whose first line is the passphrase' },
    commit: {
      type: 'string',
      value: 'SHA',
      description: "commit of the manifest's repository that it was packed from",
    },
  },
  minArguments: 1,
  maxArguments: 1,
  async run({ arguments: [file = ''], values, readSettings, output }) {
    const settings = readSettings();
    const { openPackage } = await import('../../../gateway/package/package.ts');
    const { keyIdOf, readPrivateKey } = await import('../../../gateway/package/keys.ts');
    const { buildStatement, readStatement, signStatement } = await import('../../../gateway/package/statement.ts');
    const { PackageError } = await import('../../../gateway/package/errors.ts');
    const { findPassphrase } = await import('../../plugin/passphrase.ts');

    const keyFile = values['key'] ?? 'publisher.key';
    const bytes = await readBytes(file);
    const pem = (await readBytes(keyFile)).toString('utf8');
    const isEncrypted = pem.includes('ENCRYPTED PRIVATE KEY');
    const sources = { file: values['passphrase-file'], environment: settings.keyPassphrase };
    const passphrase = isEncrypted ? await findPassphrase(sources, `Passphrase of ${keyFile}: `) : undefined;
    try {
      const opened = openPackage(bytes);
      const source = readSource(opened.manifest.repository, values['commit']);
      const statement = buildStatement(opened, { createdAt: new Date().toISOString(), ...(source && { source }) });
      const key = readPrivateKey(pem, passphrase);
      const envelope = signStatement(statement, key);
      readStatement(envelope);
      await writeFile(resolve(`${file}${ENVELOPE_SUFFIX}`), `${JSON.stringify(envelope, undefined, 2)}\n`);
      output.print(`${file}${ENVELOPE_SUFFIX}: ${statement.id} ${statement.version}, sha256 ${statement.sha256}`);
      output.print(`signed by key ${keyIdOf(key)}`);
      return 0;
    } catch (error) {
      if (!(error instanceof PackageError)) throw error;
      throw new CommandError(`${error.code === 'KEY_INVALID' ? keyFile : file}: ${error.message} (${error.code})`);
    }
  },
};

interface Source {
  readonly repository: string;
  readonly commit: string;
}

function readSource(repository: string | undefined, commit: string | undefined): Source | undefined {
  if (commit === undefined) return undefined;
  if (repository === undefined) throw new CommandError('--commit: the manifest names no repository', 2);
  return { repository, commit };
}

async function readBytes(file: string): Promise<Buffer> {
  try {
    return await readFile(resolve(file));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new CommandError(`cannot read ${file}: ${code === 'ENOENT' ? 'there is no such file' : code}`);
  }
}
