// `sallyport gateway`: one node of the data plane.
// Must not start a database or an admin service.
import { join } from 'node:path';
import { KeeperFailure } from '../../gateway/modes/central/keeper/failure.ts';
import type { NodeSettings } from '../../gateway/modes/central/settings.ts';
import type { Command, CommandInput } from '../command.ts';
import { makeDataDir, openDataDir } from '../data-dir.ts';
import { describeListenFailure } from '../house/ports.ts';
import { awaitStop } from '../house/signals.ts';
import { CommandError } from '../output.ts';
import { readSecretKey } from '../secret-key.ts';
import { SETTINGS, type Settings } from '../settings.ts';
import { readVersion } from '../version.ts';
import { missingDatabase } from './migrate.ts';

/** Runs a node against DATABASE_URL until a signal. */
export const gatewayCommand: Command = {
  name: 'gateway',
  usage: '',
  summary: 'runs one gateway node',
  details:
    'Runs a node of the data plane: a keeper and its workers. It follows the configuration in DATABASE_URL and keeps the\n' +
    'last good copy in the data directory, so that it starts and serves also while the database is away. SIGTERM drains\n' +
    '(SALLYPORT_DRAIN_MS), a second one ends at once; SIGHUP makes plugins reopen their log files.',
  examples: [
    'DATABASE_URL=postgres://sallyport:secret@db:5432/sallyport sallyport gateway',
    'SALLYPORT_WORKERS=4 SALLYPORT_PROXY_LISTEN=0.0.0.0:8000 sallyport gateway',
  ],
  options: {},
  minArguments: 0,
  maxArguments: 0,
  run: runGateway,
};

/** Names the folder in the data directory that one node has for itself. */
const NODE_DIR = 'node';

async function runGateway({ readSettings, parent, output }: CommandInput): Promise<number> {
  const settings = readSettings();
  const databaseUrl = parent?.databaseUrl ?? settings.databaseUrl;
  if (databaseUrl === undefined) throw missingDatabase('gateway');
  const { startKeeper } = await import('../../gateway/modes/central/keeper/keeper.ts');

  const dataDir = await makeDataDir(settings.dataDir);
  const secretKey = await readSecretKey({ secretKey: settings.secretKey, dataDir });
  const nodeDir = await openDataDir(join(dataDir, NODE_DIR));
  const keeper = startKeeper({
    settings: toNodeSettings(settings, nodeDir.path),
    databaseUrl: Promise.resolve(databaseUrl),
    secretKey,
    redisUrl: settings.redisUrl,
  });
  const stop = awaitStop(parent, () => keeper.kill());
  const reopen = (): void => keeper.reopen();
  process.on('SIGHUP', reopen);
  parent?.onReopen(reopen);
  try {
    const urls = await Promise.race([keeper.ready, stop.stopped]);
    if (urls !== undefined) {
      parent?.reportReady(urls);
      const tls = urls['proxyTls'] === undefined ? '' : `, TLS ${urls['proxyTls']}`;
      if (parent === undefined)
        output.print(`gateway is ready: proxy ${urls['proxy']}, status ${urls['status']}${tls}`);
      await Promise.race([stop.stopped, keeper.failed]);
    }
    await keeper.drain();
    return 0;
  } catch (error) {
    keeper.kill();
    await keeper.drain();
    if (error instanceof KeeperFailure) throw describeFailure(error, settings);
    throw error;
  } finally {
    stop.close();
    process.off('SIGHUP', reopen);
    await nodeDir.close();
    parent?.close();
  }
}

/** Picks what a node needs: workers get it too, and must not get a token, a key or the database's URL. */
function toNodeSettings(settings: Settings, dataDir: string): NodeSettings {
  const { proxyListen, statusListen, nodeName, workers, drainMs, logLevel, trustedProxies, pluginDirs } = settings;
  const { maxConnections, maxConnectionsPerIp, headersTimeoutMs, keepAliveMs } = settings;
  const { proxyTlsListen, proxyProtocolFrom } = settings;
  return {
    version: readVersion(),
    dataDir,
    nodeName,
    proxyListen,
    proxyTlsListen,
    statusListen,
    workers,
    hasRedis: settings.redisUrl !== undefined,
    drainMs,
    logLevel,
    trustedProxies,
    proxyProtocolFrom,
    pluginDirs,
    pluginRoot: settings.pluginRoot ?? join(settings.dataDir, 'marketplace', 'root.pub'),
    maxConnections,
    maxConnectionsPerIp,
    headersTimeoutMs,
    keepAliveMs,
  };
}

const LISTEN_KEYS = { proxy: 'proxyListen', proxyTls: 'proxyTlsListen', status: 'statusListen' } as const;

function describeFailure(
  failure: { readonly step: keyof typeof LISTEN_KEYS | 'start'; readonly code: string; readonly message: string },
  settings: Settings,
): CommandError {
  if (failure.step === 'start') return new CommandError(`the gateway cannot start: ${failure.message}`);
  const key = LISTEN_KEYS[failure.step];
  const address = settings[key] ?? settings.proxyListen;
  return new CommandError(describeListenFailure(SETTINGS[key].name, address, failure.code));
}
