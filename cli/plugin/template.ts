// The files of a new plugin: a whole small plugin with a fixture and a test, to be changed into another.
// Must not write to disk.
import { CONTRACT_VERSION } from '../../gateway/core/plugin.ts';
import { writeConfigTypes } from './config-types.ts';
import { CONTRACT_FOLDER } from './contract-link.ts';
import { CONFIG_TYPES } from './project.ts';

/** Names a new plugin. */
export interface PluginName {
  readonly namespace: string;
  readonly name: string;
}

const CONFIG_SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  additionalProperties: false,
  properties: {
    greeting: {
      title: 'Greeting',
      description: "What to say before the caller's name.",
      type: 'string',
      pattern: '^[A-Za-z ]{1,40}$',
      default: 'Hello',
    },
  },
  examples: [{ greeting: 'Hello' }],
};

/** Gives every file of a new project: text by path. */
export function listProjectFiles(plugin: PluginName): ReadonlyMap<string, string> {
  const schema = { ...CONFIG_SCHEMA, title: plugin.name };
  return new Map([
    ['package.json', writeJson(packageOf(plugin))],
    ['tsconfig.json', writeJson(SOURCE_TSCONFIG)],
    ['test/tsconfig.json', writeJson(TEST_TSCONFIG)],
    ['.gitignore', 'node_modules/\n.sallyport/\n*.tgz\n*.dsse.json\n*.key\n'],
    ['manifest.json', writeJson(manifestOf(plugin))],
    ['config.schema.json', writeJson(schema)],
    [CONFIG_TYPES, writeConfigTypes(schema)],
    ['src/index.ts', writeSource(plugin)],
    ['fixtures/greets-the-world.json', writeJson(worldFixture(plugin))],
    ['fixtures/greets-the-consumer.json', writeJson(consumerFixture(plugin))],
    ['test/index.test.ts', writeTest(plugin)],
    ['README.md', writeReadme(plugin)],
    ['CHANGELOG.md', '# Changelog\n\n## 1.0.0\n\nFirst version.\n'],
  ]);
}

function writeJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

function packageOf({ namespace, name }: PluginName): unknown {
  return {
    name: `${namespace}-${name}`,
    private: true,
    type: 'module',
    scripts: {
      dev: 'sallyport plugin dev',
      test: 'sallyport plugin test',
      pack: 'sallyport plugin pack',
    },
    workspaces: [CONTRACT_FOLDER],
  };
}

const SOURCE_TSCONFIG = {
  compilerOptions: {
    target: 'es2023',
    // No `dom`, no `node`: where a plugin runs there is neither.
    lib: ['es2023'],
    types: [],
    module: 'nodenext',
    moduleDetection: 'force',
    allowImportingTsExtensions: true,
    resolveJsonModule: true,
    noEmit: true,
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    noImplicitReturns: true,
    noUnusedLocals: true,
    verbatimModuleSyntax: true,
    isolatedModules: true,
    skipLibCheck: true,
  },
  include: ['src'],
  exclude: ['**/*.test.ts'],
};

const TEST_TSCONFIG = {
  extends: '../tsconfig.json',
  compilerOptions: { types: ['node'] },
  include: ['.'],
  exclude: [],
};

function manifestOf({ namespace, name }: PluginName): unknown {
  return {
    name: `${namespace}/${name}`,
    version: '1.0.0',
    title: titleOf(name),
    summary: 'Greets the caller in a response header.',
    stage: 'transform',
    hooks: ['onResponse'],
    scopes: ['global', 'api', 'route', 'consumer', 'group'],
    failPolicy: 'open',
    permissions: { response: { headers: { write: [`x-${name}`] } }, consumers: 'read' },
    engines: { gateway: `^${CONTRACT_VERSION.split('.').slice(0, 2).join('.')}.0` },
  };
}

function titleOf(name: string): string {
  const words = name.replaceAll('-', ' ').trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function writeSource({ name }: PluginName): string {
  return `// Greets the caller in a response header.
import { definePlugin, type Plugin } from 'sallyport/plugin';
import type { Config } from './config.ts';

/** Is what \`setup\` makes once, so that no request has to make it again. Every hook gets it as its last argument. */
interface State {
  readonly forStrangers: string;
}

export const plugin: Plugin<Config, State> = definePlugin<Config, State>({
  // Once per binding and configuration: prepare here, never per request. A throw refuses the change of configuration.
  setup: (config) => ({ forStrangers: \`\${config.greeting}, world\` }),

  // When there is a response, the upstream's or the gateway's own.
  onResponse({ consumer, response }, config, state) {
    response?.headers.set('x-${name}', consumer ? \`\${config.greeting}, \${consumer.username}\` : state.forStrangers);
  },
});
`;
}

function worldFixture({ name }: PluginName): unknown {
  return {
    name: 'greets the world when nobody is known',
    request: { method: 'GET', path: '/orders' },
    expect: { status: 200, response: { headers: { [`x-${name}`]: 'Hello, world' } }, sent: { path: '/orders' } },
  };
}

function consumerFixture({ name }: PluginName): unknown {
  return {
    name: 'greets the consumer by name, in the words of the configuration',
    config: { greeting: 'Good morning' },
    request: { method: 'GET', path: '/orders', consumer: { username: 'alice' } },
    expect: { response: { headers: { [`x-${name}`]: 'Good morning, alice' } } },
  };
}

function writeTest({ name }: PluginName): string {
  return `// What fixtures cannot say: several requests, clocks, configurations that must be refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig, runPlugin } from 'sallyport/testing';
import configSchema from '../config.schema.json' with { type: 'json' };
import type { Config } from '../src/config.ts';
import { plugin } from '../src/index.ts';

test('replaces a greeting that the upstream sent', async () => {
  const { headers } = await runPlugin(plugin, {
    config: readConfig<Config>(configSchema),
    upstream: { headers: { 'x-${name}': 'Bonjour' } },
  });

  assert.deepEqual(headers.getAll('x-${name}'), ['Hello, world']);
});

test('takes no greeting that would break a header', () => {
  assert.throws(() => readConfig(configSchema, { greeting: 'Hi\\r\\nx-evil: 1' }), { name: 'ConfigError' });
});
`;
}

function writeReadme({ name, namespace }: PluginName): string {
  return `# ${titleOf(name)}

Greets the caller in the response header \`x-${name}\`: by name when it is a known consumer, else the world.

## Configuration

| Property | Default | Description |
| --- | --- | --- |
| \`greeting\` | \`"Hello"\` | What to say before the caller's name. |

## Which way it fails

Open: a response without a greeting is better than none.

## Development

\`\`\`sh
npm run dev    # a gateway with this plugin on http://127.0.0.1:8010, reloaded at every save
npm test       # types, fixtures, unit tests
npm run pack   # ${namespace}-${name}-1.0.0.tgz, ready to be signed
\`\`\`

\`src/config.ts\` is written from \`config.schema.json\` by these commands.
`;
}
