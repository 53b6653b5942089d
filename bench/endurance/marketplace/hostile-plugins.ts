// Lets a hostile plugin loose on one api, in tier process and in tier native, and looks at what the other apis feel of it.
// Must not tell the gateway anything: it has to find out by itself.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { bundlePlugin } from '../../../cli/plugin/bundle.ts';
import { generateKeys, type KeyPair } from '../../../gateway/package/keys.ts';
import { findMedian } from '../../measure.ts';
import { readRssBytes } from '../../processes.ts';
import { startHttpUpstream } from '../../suites/upstream.ts';
import { type EnduranceCase, judgeMost, type Stage, type Verdict } from '../case.ts';
import { publishApis } from '../stage.ts';
import { startWatch } from '../statistics.ts';
import { type ApiTraffic, startApiTraffic, type TrafficCount } from './api-traffic.ts';
import { PLATFORM, readPlatformKeys, writeMarketplaceKeys } from './keys.ts';
import { awaitTrue, countAside, listWorkers } from './nodes.ts';
import { type PackageFiles, publishVersion, registerPublisher } from './shop.ts';

const EXAMPLE = fileURLToPath(new URL('../../../../examples/plugins/hostile', import.meta.url));
const WORKERS = 2;
const OTHERS = ['orders', 'users', 'items'];
const OTHERS_PER_SECOND = 900;
const VICTIM = 'victim';
const VICTIM_PER_SECOND = 100;
const BAD = '1.0.0';
const GOOD = '1.0.1';
const WINDOW_MS = 2_000;
/** A machine that other work slows down slows what comes before and after, too: ratios are taken within a round. */
const ROUNDS = 3;
const SETTLE_MS = 1_000;
const LOOK_MS = 100;
const MOST_P99_RATIO = 1.5;
const MOST_QUARANTINE_MS = 5_000;
const MOST_RSS_MIB = 100;
const MOST_RECOVERY_MS = 2_000;
/** The hook has 50 ms; what is cut is looked for every 50 ms, by a thread that may have to wait for a core. */
const MOST_CUT_MS = 500;
const PATIENCE_MS = 20_000;
const BYTES_PER_MIB = 1_048_576;

/** What the example can do; in tier native what holds a worker up is left out here: `blockWorker` does that once. */
const ATTACKS = {
  process: ['loop', 'promise-loop', 'array-bomb', 'buffer-bomb', 'flood-log', 'flood-headers', 'throw', 'never-settle'],
  native: ['throw', 'never-settle', 'write-undeclared-header'],
} as const;

type Tier = keyof typeof ATTACKS;

interface Arena {
  readonly stage: Stage;
  readonly others: ApiTraffic;
  readonly victim: ApiTraffic;
  readonly verdicts: Verdict[];
}

function readExample(name: string): string {
  return readFileSync(join(EXAMPLE, name), 'utf8');
}

/** Packs the example under a name: as it is, and as a version that does nothing wrong. */
async function buildVersions(plugin: string): Promise<readonly PackageFiles[]> {
  const { code } = await bundlePlugin(EXAMPLE);
  const manifest = JSON.parse(readExample('manifest.json')) as Readonly<Record<string, unknown>>;
  const mended = `export const plugin = { onRequest() {}, onResponse({ response }) { response.headers.set('x-hostile', 'mended'); } };\n`;
  const pack = (version: string, index: string): PackageFiles => ({
    'manifest.json': JSON.stringify({ ...manifest, name: plugin, version }),
    'config.schema.json': readExample('config.schema.json'),
    'index.js': index,
    'README.md': readExample('README.md'),
  });
  return [pack(BAD, code), pack(GOOD, mended)];
}

/** Is what one round of an attack came to. */
interface Round {
  /** Before, during and after the attack. */
  readonly p99s: readonly [number, number, number];
  readonly otherFailures: number;
  readonly ownFailures: number;
  readonly longestMs: number;
  readonly quarantineMs: number;
  readonly rssMib: number;
  readonly grownMib: number;
  readonly recoveryMs: number;
}

interface Window {
  readonly others: TrafficCount;
  readonly victim: TrafficCount;
}

async function takeWindow({ others, victim }: Arena): Promise<Window> {
  await wait(WINDOW_MS);
  return { others: others.take(), victim: victim.take() };
}

/** Says whether every worker answers with the good version: asked on connections of their own. */
async function isMended(port: number): Promise<boolean> {
  for (let asked = 0; asked < 8; asked += 1) {
    const response = await fetch(`http://127.0.0.1:${port}/${VICTIM}/1001`, { headers: { connection: 'close' } });
    await response.arrayBuffer();
    if (response.headers.get('x-hostile') !== 'mended') return false;
  }
  return true;
}

function format(values: readonly number[]): string {
  return values.map((value) => value.toFixed(1)).join(' ');
}

/** Begins and ends with the bad version, behaving. */
async function attackOnce(arena: Arena, plugin: string, misbehaviour: string): Promise<Round> {
  const { instance, port } = arena.stage;
  const { victim, others } = arena;
  const rss = startWatch(LOOK_MS, () => readRssBytes(instance.keeperPid) / BYTES_PER_MIB);
  others.take();
  victim.take();
  const before = await takeWindow(arena);
  const rssMib = Math.max(...rss.take());

  victim.setHeaders({ 'x-misbehave': misbehaviour });
  const quarantine = awaitTrue(async () => (await countAside(instance, plugin)) === WORKERS, PATIENCE_MS);
  const during = await takeWindow(arena);
  const quarantineMs = (await quarantine) ?? PATIENCE_MS;
  const grownMib = Math.max(0, Math.max(...rss.take()) - rssMib);
  rss.stop();

  const from = performance.now();
  await instance.ask('PATCH', `/v1/installs/${plugin}`, { version: GOOD });
  await awaitTrue(() => isMended(port), PATIENCE_MS);
  const recoveryMs = performance.now() - from;
  const change = others.take();
  const after = await takeWindow(arena);
  victim.setHeaders({});
  await instance.ask('PATCH', `/v1/installs/${plugin}?wait=applied`, { version: BAD });
  await wait(SETTLE_MS);
  const windows = [before, during, after];
  return {
    p99s: [before.others.p99Ms, during.others.p99Ms, after.others.p99Ms],
    otherFailures: windows.reduce((sum, window) => sum + window.others.failures, change.failures),
    ownFailures: windows.reduce((sum, window) => sum + window.victim.failures, 0),
    longestMs: during.victim.longestMs,
    quarantineMs,
    rssMib,
    grownMib,
    recoveryMs,
  };
}

async function attack(arena: Arena, plugin: string, misbehaviour: string): Promise<readonly number[]> {
  const { stage, verdicts } = arena;
  const rounds: Round[] = [];
  for (let round = 0; round < ROUNDS; round += 1) rounds.push(await attackOnce(arena, plugin, misbehaviour));
  const most = (pick: (round: Round) => number): number => Math.max(...rounds.map(pick));
  const sum = (pick: (round: Round) => number): number => rounds.reduce((total, round) => total + pick(round), 0);
  const ratios = rounds.map(({ p99s: [before, during, after] }) => during / findMedian([before, after]));
  const name = `${plugin} ${misbehaviour}`;
  stage.say(
    `${name}: p99 of others ${rounds.map(({ p99s }) => format(p99s)).join(' | ')} ms (${format(ratios)}x); ` +
      `aside after ${format(rounds.map(({ quarantineMs }) => quarantineMs))} ms; RSS ${format(rounds.map(({ rssMib }) => rssMib))} + ${format(rounds.map(({ grownMib }) => grownMib))} MiB; ` +
      `longest own request ${most(({ longestMs }) => longestMs).toFixed(0)} ms; good version after ${format(rounds.map(({ recoveryMs }) => recoveryMs))} ms`,
  );
  verdicts.push(
    judgeMost(`${name}: p99 of other apis`, findMedian(ratios), MOST_P99_RATIO, 'x'),
    judgeMost(
      `${name}: requests to other apis that failed`,
      sum(({ otherFailures }) => otherFailures),
      0,
    ),
    judgeMost(
      `${name}: own requests that failed, though it fails open`,
      sum(({ ownFailures }) => ownFailures),
      0,
    ),
    judgeMost(
      `${name}: time until every worker has set it aside`,
      most(({ quarantineMs }) => quarantineMs),
      MOST_QUARANTINE_MS,
      ' ms',
    ),
    judgeMost(
      `${name}: growth of RSS`,
      most(({ grownMib }) => grownMib),
      MOST_RSS_MIB,
      ' MiB',
    ),
    judgeMost(
      `${name}: time until a good version runs`,
      most(({ recoveryMs }) => recoveryMs),
      MOST_RECOVERY_MS,
      ' ms',
    ),
  );
  return ratios;
}

/** One request that loops in tier native holds its worker until it is cut; the worker is relieved then. */
async function blockWorker({ stage, others, verdicts }: Arena): Promise<void> {
  const { instance, port, say } = stage;
  const workers = await listWorkers(instance);
  others.take();
  const from = performance.now();
  const headers = { 'x-misbehave': 'loop', connection: 'close' };
  const lost = fetch(`http://127.0.0.1:${port}/${VICTIM}/1001`, { headers }).then(
    ({ status }) => `answered ${status}`,
    () => 'broken off',
  );
  await lost;
  const cutMs = performance.now() - from;
  await awaitTrue(async () => {
    const now = await listWorkers(instance);
    return now.length === WORKERS && now.some((pid) => !workers.includes(pid));
  }, PATIENCE_MS);
  const replacedMs = performance.now() - from;
  const during = others.take();
  const kept = (await listWorkers(instance)).filter((pid) => workers.includes(pid)).length;
  await wait(WINDOW_MS);
  const after = others.take();
  say(
    `${PLATFORM}/hostile loop, one request: ${await lost} after ${cutMs.toFixed(0)} ms, another worker after ${replacedMs.toFixed(0)} ms; ` +
      `of ${during.requests} other requests ${during.failures} failed (${during.lastFault ?? 'none'}), longest ${during.longestMs.toFixed(0)} ms; after that ${after.failures} (${after.lastFault ?? 'none'}), p99 ${after.p99Ms.toFixed(1)} ms`,
  );
  verdicts.push(
    judgeMost('native loop: time until the hook is cut', cutMs, MOST_CUT_MS, ' ms'),
    judgeMost('native loop: workers that were replaced beside the one it held', WORKERS - 1 - kept, 0),
    judgeMost('native loop: other requests that failed', during.failures + after.failures, 0),
  );
}

async function install({ stage }: Arena, plugin: string, keys: KeyPair): Promise<string> {
  const { instance } = stage;
  await registerPublisher(instance, plugin.split('/')[0] ?? '', keys);
  for (const files of await buildVersions(plugin)) await publishVersion(instance, files, keys);
  const { permissions } = JSON.parse(readExample('manifest.json')) as { readonly permissions: unknown };
  await instance.ask('POST', '/v1/installs', { plugin, version: BAD, granted: permissions });
  const binding = { plugin, scope: { api: VICTIM }, config: {} };
  const { id } = (await instance.ask('POST', '/v1/bindings?wait=applied', binding)) as { readonly id: string };
  return id;
}

async function run(stage: Stage): ReturnType<EnduranceCase['run']> {
  const { instance, directory, port } = stage;
  const upstream = await startHttpUpstream(join(directory, 'upstream'), undefined);
  stage.defer(upstream.close);
  await publishApis(stage, Object.fromEntries([...OTHERS, VICTIM].map((name) => [name, upstream.port])));
  const paths = OTHERS.map((name) => `/${name}/1001`);
  const others = await startApiTraffic({ port, perSecond: OTHERS_PER_SECOND, paths });
  stage.defer(others.stop);
  const victim = await startApiTraffic({ port, perSecond: VICTIM_PER_SECOND, paths: [`/${VICTIM}/1001`] });
  stage.defer(victim.stop);
  const arena: Arena = { stage, others, victim, verdicts: [] };

  const owners: Readonly<Record<Tier, { readonly namespace: string; readonly keys: KeyPair }>> = {
    process: { namespace: 'examples', keys: generateKeys() },
    native: { namespace: PLATFORM, keys: readPlatformKeys(directory) },
  };
  for (const tier of ['process', 'native'] as const) {
    const { namespace, keys } = owners[tier];
    const plugin = `${namespace}/hostile`;
    const binding = await install(arena, plugin, keys);
    await wait(SETTLE_MS);
    const ratios: number[] = [];
    for (const misbehaviour of ATTACKS[tier]) ratios.push(...(await attack(arena, plugin, misbehaviour)));
    arena.verdicts.push(
      judgeMost(`${plugin}: p99 of other apis over all attacks`, findMedian(ratios), MOST_P99_RATIO, 'x'),
    );
    if (tier === 'native') {
      victim.stop();
      await blockWorker(arena);
    }
    await instance.ask('DELETE', `/v1/bindings/${binding}?wait=applied`);
  }
  return arena.verdicts;
}

/** Is the case. */
export const hostilePlugins: EnduranceCase = {
  name: 'hostile-plugins',
  description: `a plugin that loops, floods and grows on one api, in each tier, beside ${OTHERS_PER_SECOND} requests/s to others`,
  env: { SALLYPORT_WORKERS: String(WORKERS) },
  isUnpinned: true,
  mayLoseProcesses: true,
  handles: 4_096,
  async prepare({ directory }) {
    writeMarketplaceKeys(directory);
    return {};
  },
  run,
};
