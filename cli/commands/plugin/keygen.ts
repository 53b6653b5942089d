// `sallyport plugin keygen`: the key pair that a publisher signs with.
// Must not overwrite a key, nor print its private half.
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from '../../command.ts';
import { CommandError } from '../../output.ts';

const DEFAULT_FILE = 'publisher.key';

/** Writes FILE and FILE.pub. */
export const pluginKeygenCommand: Command = {
  name: 'plugin keygen',
  usage: '[FILE]',
  summary: "makes a publisher's keys",
  details:
    `Makes an Ed25519 key pair: FILE (${DEFAULT_FILE}), readable by you alone and encrypted with a passphrase, and FILE.pub,\n` +
    'which the marketplace is told. The passphrase comes from --passphrase-file, SALLYPORT_KEY_PASSPHRASE or the terminal.',
  examples: ['sallyport plugin keygen', 'sallyport plugin keygen acme.key --passphrase-file acme.passphrase'],
  options: {
    'passphrase-file': { type: 'string', value: 'FILE', description: 'file whose first line is the passphrase' },
    'no-passphrase': { type: 'boolean', description: 'leaves the key unencrypted' },
  },
  minArguments: 0,
  maxArguments: 1,
  async run({ arguments: [file = DEFAULT_FILE], options, values, readSettings, output }) {
    const { keyPassphrase } = readSettings();
    const { generateKeys, toKeyEntry, writePrivateKey, writePublicKey } = await import(
      '../../../gateway/package/keys.ts'
    );
    const { findNewPassphrase } = await import('../../plugin/passphrase.ts');

    const sources = { file: values['passphrase-file'], environment: keyPassphrase };
    const passphrase = options['no-passphrase'] ? undefined : await findNewPassphrase(sources);
    const { keyid, publicKey, privateKey } = generateKeys();
    await writeNew(file, writePrivateKey(privateKey, passphrase), 0o600);
    await writeNew(`${file}.pub`, writePublicKey(publicKey), 0o644);
    output.print(
      `${file}: the private key; keep it secret${passphrase === undefined ? ', for it is not encrypted' : ''}`,
    );
    output.print(`${file}.pub: the public key ${toKeyEntry(publicKey).publicKey}`);
    output.print(`key id ${keyid}`);
    return 0;
  },
};

async function writeNew(file: string, text: string, mode: number): Promise<void> {
  try {
    await writeFile(resolve(file), text, { mode, flag: 'wx' });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EEXIST') throw new CommandError(`${file} is there already; it was left as it is`);
    throw new CommandError(`${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
