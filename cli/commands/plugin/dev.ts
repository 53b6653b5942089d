// `sallyport plugin dev`: a local gateway with the plugin of this folder, reloaded at every save.
// Must not do the work itself: cli/plugin does.
import type { Tier } from '../../../gateway/sandbox/sandbox.ts';
import type { Command } from '../../command.ts';
import { awaitStop } from '../../house/signals.ts';
import { CommandError } from '../../output.ts';
import { parseListenAddress, urlWithScheme } from '../../setting-parsers.ts';

const DEFAULT_LISTEN = '127.0.0.1:8010';

/** Runs until a signal. */
export const pluginDevCommand: Command = {
  name: 'plugin dev',
  usage: '',
  summary: 'runs the plugin of this folder in a local gateway, reloaded at every save',
  details:
    'Runs the plugin of this folder behind a gateway of its own, with the real engine and listener, in front of an upstream\n' +
    'that answers with what it got. Prints for every request what each hook changed. At every save the plugin is built and\n' +
    'swapped; when it does not build, the version before goes on. The configuration is the first example of the schema, and a\n' +
    'secret NAME is fixture-secret-NAME. What the manifest does not permit fails, as it will where the plugin is installed.',
  examples: [
    'sallyport plugin dev',
    'sallyport plugin dev --upstream http://127.0.0.1:9000 --config my-config.json',
    'sallyport plugin dev --listen 127.0.0.1:0',
  ],
  options: {
    listen: {
      type: 'string',
      value: 'HOST:PORT',
      description: `where to listen (${DEFAULT_LISTEN}); port 0 takes a free one`,
    },
    upstream: { type: 'string', value: 'URL', description: 'an upstream of yours instead of the echo' },
    config: { type: 'string', value: 'FILE', description: 'JSON file with the configuration' },
    secrets: { type: 'string', value: 'FILE', description: 'file with secrets, one NAME=value a line' },
    tier: {
      type: 'string',
      value: 'TIER',
      description: 'native (in this process, the default), isolate, or process, as when installed',
    },
  },
  minArguments: 0,
  maxArguments: 0,
  async run({ values, parent, output }) {
    const listen = readOption('listen', values['listen'] ?? DEFAULT_LISTEN, parseListenAddress);
    const upstream = values['upstream'] && readOption('upstream', values['upstream'], urlWithScheme('http', 'https'));
    const { linkContract } = await import('../../plugin/contract-link.ts');
    const { startDev } = await import('../../plugin/dev.ts');
    const { readSecrets } = await import('../../installs/installs.ts');

    await linkContract(process.cwd());
    const session = await startDev({
      folder: process.cwd(),
      listen,
      upstream,
      configFile: values['config'],
      tier: readOption('tier', values['tier'] ?? 'native', readTier),
      secrets: (await readSecrets(values['secrets'])) ?? {},
      print: output.print,
    });
    const stop = awaitStop(parent, () => undefined);
    output.print(`listening on ${session.url}; Ctrl-C ends`);
    await stop.stopped;
    stop.close();
    await session.close();
    return 0;
  },
};

function readTier(text: string): Tier {
  if (text === 'native' || text === 'isolate' || text === 'process') return text;
  throw new Error('expected native, isolate or process');
}

function readOption<T>(name: string, text: string, parse: (text: string) => T): T {
  try {
    return parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(`sallyport plugin dev: --${name} ${JSON.stringify(text)} does not fit: ${reason}`, 2);
  }
}
