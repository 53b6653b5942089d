// `sallyport plugin list`: what is installed, and where it does not run.
// Must not judge a version: the admin service and every node do.
import { callAdmin } from '../../admin-client.ts';
import type { Command } from '../../command.ts';
import type { ShownInstall } from '../../installs/installs.ts';

interface Page<Item> {
  readonly data: readonly Item[];
}

interface ShownNode {
  readonly name: string;
  readonly isLive: boolean;
  readonly plugins: readonly {
    readonly plugin: string;
    readonly running: string | null;
    readonly problem: { readonly message: string } | null;
    readonly previous?: { readonly version: string; readonly isRunning?: boolean };
  }[];
}

/** Lists what is installed from the marketplace. */
export const pluginListCommand: Command = {
  name: 'plugin list',
  usage: '',
  summary: 'lists what is installed from the marketplace',
  details:
    'Lists installs: version, how many bindings use it, and what each gateway runs where that is something else.',
  examples: ['sallyport plugin list'],
  options: {},
  minArguments: 0,
  maxArguments: 0,
  async run({ readSettings, output }) {
    const settings = readSettings();
    const installs: Page<ShownInstall> = JSON.parse(
      await callAdmin(settings, { method: 'GET', path: 'v1/installs?limit=1000' }),
    );
    const nodes: Page<ShownNode> = JSON.parse(
      await callAdmin(settings, { method: 'GET', path: 'v1/nodes?limit=1000' }),
    );
    if (installs.data.length === 0) output.print('Nothing is installed from the marketplace.');
    for (const install of installs.data) {
      output.print(describeInstall(install));
      for (const line of listTroubles(install, nodes.data)) output.print(`    ${line}`);
    }
    return 0;
  },
};

function describeInstall({ plugin, version, tier, bindings, previous }: ShownInstall): string {
  const before = previous === undefined ? '' : `, before ${previous.version}`;
  return `${plugin}@${version}  tier ${tier}, ${bindings} bindings${before}`;
}

function listTroubles({ plugin }: ShownInstall, nodes: readonly ShownNode[]): readonly string[] {
  return nodes
    .filter(({ isLive }) => isLive)
    .flatMap(({ name, plugins }) =>
      plugins
        .filter((one) => one.plugin === plugin && one.problem !== null)
        .map((one) => `${name} runs ${describeRunning(one)}: ${one.problem?.message}`),
    );
}

function describeRunning({ running, previous }: ShownNode['plugins'][number]): string {
  return previous?.isRunning ? `${previous.version}, the version before` : (running ?? 'none');
}
