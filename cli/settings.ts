// Every setting of Sallyport as data: name, default, what it is for, how its text is read. Help and docs come from it.
// Must not be read twice: the environment becomes one frozen object, and only that travels on.
import { availableParallelism, hostname } from 'node:os';
import { resolve } from 'node:path';
import {
  integerBetween,
  type ListenAddress,
  type LogLevel,
  parseFolders,
  parseHosts,
  parseKey,
  parseListenAddress,
  parseLogLevel,
  parseName,
  parseNetworks,
  parseToken,
  urlWithScheme,
} from './setting-parsers.ts';

/** Is what the environment says, checked. `undefined` = not set and without a default. */
export interface Settings {
  readonly proxyListen: ListenAddress;
  readonly proxyTlsListen: ListenAddress | undefined;
  readonly adminListen: ListenAddress;
  readonly statusListen: ListenAddress;
  readonly dataDir: string;
  readonly databaseUrl: string | undefined;
  readonly secretKey: string | undefined;
  readonly adminToken: string | undefined;
  readonly adminUrl: string;
  readonly keyPassphrase: string | undefined;
  readonly adminHosts: readonly string[];
  readonly nodeName: string;
  readonly workers: number;
  readonly drainMs: number;
  readonly logLevel: LogLevel;
  readonly trustedProxies: readonly string[];
  readonly proxyProtocolFrom: readonly string[];
  readonly pluginDirs: readonly string[];
  readonly pluginRoot: string | undefined;
  readonly maxConnections: number;
  readonly maxConnectionsPerIp: number;
  readonly headersTimeoutMs: number;
  readonly keepAliveMs: number;
  readonly redisUrl: string | undefined;
  readonly natsUrl: string | undefined;
}

/** Describes one setting. `defaultText` is what its absence means, as a reader would write it; empty = not set. */
export interface SettingSpec<Value> {
  readonly name: string;
  readonly defaultText: string;
  readonly description: string;
  readonly example: string;
  /** Keeps the value out of every message. */
  readonly isSecret?: boolean;
  /** Gives the value. @throws Error whose message says what was expected. */
  parse(text: string): Value;
  /** Gives the value when the setting is absent. */
  fallback(): Value;
}

const NOT_SET = (): undefined => undefined;
const EMPTY_LIST = (): readonly string[] => [];

function listenSetting(name: string, what: string, defaultText: string, example: string): SettingSpec<ListenAddress> {
  return {
    name,
    defaultText,
    description: `host:port of ${what}. Port 0 takes a free one.`,
    example,
    parse: parseListenAddress,
    fallback: () => parseListenAddress(defaultText),
  };
}

function listSetting(
  name: string,
  parse: (text: string) => readonly string[],
  words: { readonly description: string; readonly example: string },
): SettingSpec<readonly string[]> {
  return { name, defaultText: '', ...words, parse, fallback: EMPTY_LIST };
}

function optionalSetting<Value>(
  name: string,
  parse: (text: string) => Value,
  words: Pick<SettingSpec<Value>, 'description' | 'example' | 'isSecret'>,
): SettingSpec<Value | undefined> {
  return { name, defaultText: '', ...words, parse, fallback: NOT_SET };
}

function secretSetting(
  name: string,
  parse: (text: string) => string,
  words: Pick<SettingSpec<string>, 'description' | 'example'>,
): SettingSpec<string | undefined> {
  return optionalSetting(name, parse, { ...words, isSecret: true });
}

interface NumberBounds {
  readonly from: number;
  readonly to: number;
  readonly fallback: number;
}

function numberSetting(name: string, description: string, bounds: NumberBounds): SettingSpec<number> {
  return {
    name,
    defaultText: String(bounds.fallback),
    description,
    example: String(bounds.fallback),
    parse: integerBetween(bounds.from, bounds.to),
    fallback: () => bounds.fallback,
  };
}

/** Holds every setting, in the order in which help and docs list them. */
export const SETTINGS: { readonly [Key in keyof Settings]: SettingSpec<Settings[Key]> } = {
  proxyListen: listenSetting('SALLYPORT_PROXY_LISTEN', 'the proxy', '127.0.0.1:8000', '0.0.0.0:8000'),
  proxyTlsListen: optionalSetting('SALLYPORT_PROXY_TLS_LISTEN', parseListenAddress, {
    description:
      'host:port of the proxy over TLS, with the certificates of /v1/certificates. Not set: none. Port 0 takes a free one.',
    example: '0.0.0.0:8443',
  }),
  adminListen: listenSetting('SALLYPORT_ADMIN_LISTEN', 'the admin service', '127.0.0.1:8001', '0.0.0.0:8001'),
  statusListen: listenSetting(
    'SALLYPORT_STATUS_LISTEN',
    'the status port: /livez, /readyz, /metrics',
    '127.0.0.1:8002',
    '0.0.0.0:8002',
  ),
  dataDir: {
    name: 'SALLYPORT_DATA_DIR',
    defaultText: './.sallyport',
    description: 'Folder of the embedded database, the admin token, the secret key and the last good configuration.',
    example: '/var/lib/sallyport',
    parse: (text) => resolve(text),
    fallback: () => resolve('.sallyport'),
  },
  databaseUrl: secretSetting('DATABASE_URL', urlWithScheme('postgres', 'postgresql'), {
    description: 'Postgres 14 or newer. Not set: `sallyport start` runs an embedded one in the data directory.',
    example: 'postgres://user:password@host:5432/sallyport',
  }),
  secretKey: secretSetting('SALLYPORT_SECRET_KEY', parseKey, {
    description:
      'Key that seals stored secrets: 32 bytes, hex or base64url. Not set: made once and kept in the data directory. ' +
      'Processes with data directories of their own must share it.',
    example: '$(openssl rand -hex 32)',
  }),
  adminToken: secretSetting('SALLYPORT_ADMIN_TOKEN', parseToken, {
    description: 'Owner token of the admin REST. Not set: made at the first start and kept in the data directory.',
    example: '$(openssl rand -hex 24)',
  }),
  adminUrl: {
    name: 'SALLYPORT_ADMIN_URL',
    defaultText: 'http://127.0.0.1:8001',
    description: 'Where commands find the admin service.',
    example: 'https://admin.example.com',
    parse: urlWithScheme('http', 'https'),
    fallback: () => 'http://127.0.0.1:8001',
  },
  keyPassphrase: secretSetting('SALLYPORT_KEY_PASSPHRASE', (text) => text, {
    description:
      "Passphrase of a publisher's key, for `plugin keygen` and `plugin sign`. Not set: asked for at the terminal.",
    example: '$(openssl rand -base64 24)',
  }),
  adminHosts: listSetting('SALLYPORT_ADMIN_HOSTS', parseHosts, {
    description: 'Host names, parted by commas, by which the admin service may be called besides its own address.',
    example: 'admin.example.com',
  }),
  nodeName: {
    name: 'SALLYPORT_NODE_NAME',
    defaultText: 'the host name',
    description: 'Name of this node in /v1/nodes, in logs and in metrics.',
    example: 'gateway-1',
    parse: parseName,
    fallback: () => hostname().replace(/[^A-Za-z0-9._~-]/g, '-') || 'node',
  },
  workers: {
    name: 'SALLYPORT_WORKERS',
    defaultText: 'available cores',
    description: 'Number of worker processes.',
    example: '4',
    parse: integerBetween(1, 256),
    fallback: availableParallelism,
  },
  drainMs: numberSetting(
    'SALLYPORT_DRAIN_MS',
    'How long requests in flight may take to finish after SIGTERM, in milliseconds.',
    { from: 0, to: 3_600_000, fallback: 10_000 },
  ),
  logLevel: {
    name: 'SALLYPORT_LOG_LEVEL',
    defaultText: 'info, in a terminal warn',
    description: "Least level of the gateway's own log (JSON lines on stderr): debug, info, warn, error or silent.",
    example: 'debug',
    parse: parseLogLevel,
    fallback: () => (process.stderr.isTTY ? 'warn' : 'info'),
  },
  trustedProxies: listSetting('SALLYPORT_TRUSTED_PROXIES', parseNetworks, {
    description: 'Addresses and networks, parted by commas, whose X-Forwarded-* headers are believed.',
    example: '10.0.0.0/8,fd00::/8',
  }),
  proxyProtocolFrom: listSetting('SALLYPORT_PROXY_PROTOCOL_FROM', parseNetworks, {
    description:
      'Addresses and networks, parted by commas, of load balancers that begin every connection to the proxy with a PROXY ' +
      'header (version 1 or 2), and must. The address in it is the client.',
    example: '10.0.0.5,10.0.0.6',
  }),
  pluginDirs: listSetting('SALLYPORT_PLUGIN_DIRS', parseFolders, {
    description: 'Folders of further plugins, parted by commas.',
    example: '/etc/sallyport/plugins',
  }),
  pluginRoot: optionalSetting('SALLYPORT_PLUGIN_ROOT', resolve, {
    description:
      'File of the public root keys (PEM) by which a node trusts plugins of the marketplace. ' +
      'Not set: marketplace/root.pub in the data directory.',
    example: '/etc/sallyport/root.pub',
  }),
  maxConnections: numberSetting('SALLYPORT_MAX_CONNECTIONS', 'Most client connections of one worker, per port.', {
    from: 1,
    to: 1_000_000,
    fallback: 20_000,
  }),
  maxConnectionsPerIp: numberSetting(
    'SALLYPORT_MAX_CONNECTIONS_PER_IP',
    'Most client connections of one worker from one address; 0 = no bound. Leave it at 0 behind a load balancer.',
    { from: 0, to: 1_000_000, fallback: 0 },
  ),
  headersTimeoutMs: numberSetting(
    'SALLYPORT_HEADERS_TIMEOUT_MS',
    'How long a client may take to send a request head, in milliseconds.',
    { from: 100, to: 600_000, fallback: 10_000 },
  ),
  keepAliveMs: numberSetting(
    'SALLYPORT_KEEP_ALIVE_MS',
    'How long an idle client connection is kept, in milliseconds. Keep it above that of a load balancer in front.',
    { from: 0, to: 3_600_000, fallback: 65_000 },
  ),
  redisUrl: secretSetting('SALLYPORT_REDIS_URL', urlWithScheme('redis', 'rediss'), {
    description: 'Redis for limits that all nodes share.',
    example: 'redis://redis:6379',
  }),
  natsUrl: secretSetting('SALLYPORT_NATS_URL', urlWithScheme('nats', 'tls'), {
    description: 'NATS for logs that leave the node. This version does not use it.',
    example: 'nats://nats:4222',
  }),
};

/** Matches what Kubernetes puts into the environment beside a service that is called sallyport. */
const SERVICE_LINK = /_SERVICE_(HOST|PORT)|_PORT(_\d+_|$)/;

/** Says that settings do not parse: one line each. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

/**
 * Reads every setting from an environment, once. A variable that is empty counts as absent.
 *
 * @throws SettingsError that names every wrong variable, its problem and an example.
 */
export function readSettings(environment: Readonly<Record<string, string | undefined>>): Settings {
  const problems: string[] = [];
  const readOne = <Value>(spec: SettingSpec<Value>): Value => {
    const text = environment[spec.name]?.trim() ?? '';
    if (text === '') return spec.fallback();
    try {
      return spec.parse(text);
    } catch (error) {
      problems.push(describeProblem(spec, text, error));
      return spec.fallback();
    }
  };

  const entries = Object.entries(SETTINGS).map(([key, spec]) => [key, readOne<unknown>(spec)]);
  if (problems.length > 0) throw new SettingsError(problems.join('\n'));
  // The table is total over the keys of Settings, and each parser gives the type of its key.
  return Object.freeze(Object.fromEntries(entries)) as Settings;
}

/** Finds variables that look like settings and are none: a misspelt one would be missed without a word. */
export function findUnknownSettings(environment: Readonly<Record<string, string | undefined>>): readonly string[] {
  const known = new Set(Object.values(SETTINGS).map(({ name }) => name));
  return Object.keys(environment).filter(
    (name) => name.startsWith('SALLYPORT_') && !known.has(name) && !SERVICE_LINK.test(name),
  );
}

function describeProblem(spec: SettingSpec<unknown>, text: string, error: unknown): string {
  const given = spec.isSecret ? 'its value' : JSON.stringify(text);
  const expected = error instanceof Error ? error.message : String(error);
  return `${spec.name}: ${given} does not fit: ${expected}. Example: ${spec.name}=${spec.example}`;
}
