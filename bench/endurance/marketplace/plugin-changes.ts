// Takes a plugin through its life on two nodes under 1 000 requests a second, then kills everything and starts without a database.
// Must not slow down for anything: each step comes while the load goes on.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { startEmbeddedPostgres } from '../../../cli/postgres/embedded-postgres.ts';
import { generateKeys } from '../../../gateway/package/keys.ts';
import { startHttpUpstream } from '../../suites/upstream.ts';
import { type EnduranceCase, judgeMost, type Stage, type Verdict } from '../case.ts';
import { publishApis } from '../stage.ts';
import { type ApiTraffic, startApiTraffic, type TrafficCount } from './api-traffic.ts';
import { awaitState, listWorkers } from './nodes.ts';
import { type GatewayNode, startGatewayNode } from './second-node.ts';
import { type PackageFiles, publishVersion, registerPublisher } from './shop.ts';

const PER_SECOND = 1_000;
const APIS = ['orders', 'users', 'items'];
const WORKERS = 2;
const PLUGIN = 'acme/walk';
const INSTALL = `/v1/installs/${PLUGIN}`;
const VERSIONS = ['1.0.0', '2.0.0', '3.0.0'];
const HEADER = 'x-walk';
const GRANTED = { response: { headers: { write: [HEADER] } } };
const WINDOW_MS = 3_000;
const MOST_STATE_MS = 2_000;
/** On connections of their own, so that every worker of a node is asked. */
const PROBES = 40;
/** Enough to tell 5 % from nothing and from all. */
const CANARY_PROBES = 400;
const CANARY_PERCENT = 5;
const MOST_CANARY_SHARE = 0.15;
/** A node writes its copy on disk half a second after a change, two seconds after it at the latest. */
const COPY_MS = 3_000;
const NO_DATABASE = 'postgres://nobody@127.0.0.1:1/none';

const SCHEMA = { $schema: 'https://json-schema.org/draft/2020-12/schema', type: 'object', additionalProperties: false };

function buildPackage(version: string): PackageFiles {
  const manifest = {
    name: PLUGIN,
    version,
    title: 'Walk',
    summary: 'Says which version it is.',
    stage: 'transform',
    hooks: ['onResponse'],
    scopes: ['global', 'api'],
    failPolicy: 'closed',
    permissions: GRANTED,
    engines: { gateway: '^1.0.0' },
  };
  const fixture = { request: { path: '/' }, expect: { response: { headers: { [HEADER]: version } } } };
  return {
    'manifest.json': JSON.stringify(manifest),
    'config.schema.json': JSON.stringify({ ...SCHEMA, properties: {}, examples: [{}] }),
    'index.js': `export const plugin = { onResponse({ response }) { response.headers.set('${HEADER}', '${version}'); } };\n`,
    'README.md': '# Walk\n',
    'fixtures/says-its-version.json': JSON.stringify(fixture),
  };
}

/** Asks a node on connections of their own; gives how often each version answered. */
async function probe(port: number, count: number): Promise<ReadonlyMap<string, number>> {
  const seen = new Map<string, number>();
  for (let asked = 0; asked < count; asked += 1) {
    const response = await fetch(`http://127.0.0.1:${port}/orders/1001`, { headers: { connection: 'close' } });
    await response.arrayBuffer();
    const version = response.ok ? (response.headers.get(HEADER) ?? 'none') : String(response.status);
    seen.set(version, (seen.get(version) ?? 0) + 1);
  }
  return seen;
}

interface Walk {
  readonly stage: Stage;
  readonly ports: readonly number[];
  readonly traffic: readonly ApiTraffic[];
  readonly verdicts: Verdict[];
}

/** Is one change, and what it is to lead to. */
interface Step {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  /** Undefined = none is installed. */
  readonly version: string | undefined;
  /** What clients see; of a trial, most of them. */
  readonly seen: string;
}

function sum(counts: readonly TrafficCount[]): {
  readonly failures: number;
  readonly p99Ms: number;
  readonly fault: string;
} {
  const failures = counts.reduce((total, count) => total + count.failures, 0);
  const fault = counts.find(({ lastFault }) => lastFault !== undefined)?.lastFault ?? '';
  return { failures, p99Ms: Math.max(...counts.map(({ p99Ms }) => p99Ms)), fault };
}

async function take(traffic: readonly ApiTraffic[], forMs: number): Promise<ReturnType<typeof sum>> {
  await wait(forMs);
  return sum(traffic.map((one) => one.take()));
}

function format(step: string, cells: readonly (string | number)[]): string {
  const texts = cells.map((cell) => (typeof cell === 'number' ? cell.toFixed(1) : cell).padStart(12));
  return `${step.padEnd(12)}${texts.join('')}`;
}

async function walkOne({ stage, ports, traffic, verdicts }: Walk, step: Step): Promise<unknown> {
  const { instance, say } = stage;
  const { name, method, path, body, version, seen } = step;
  const before = await take(traffic, WINDOW_MS);
  const from = performance.now();
  const answer = await instance.ask(method, path, body);
  const answeredMs = performance.now() - from;
  await awaitState(instance, { nodes: ports.length, workersPerNode: WORKERS, plugin: PLUGIN, version });
  const stateMs = performance.now() - from;
  const isTrial = name === 'canary';
  const found = await Promise.all(ports.map((port) => probe(port, isTrial ? CANARY_PROBES : PROBES)));
  const others = found.map((one) =>
    [...one].filter(([got]) => got !== seen).reduce((all, [, times]) => all + times, 0),
  );
  const during = await take(traffic, Math.max(0, WINDOW_MS - (performance.now() - from)));
  const failures = before.failures + during.failures;
  say(format(name, [answeredMs, stateMs, failures, before.p99Ms, during.p99Ms, `${others}`]));
  if (failures > 0) say(`  ${before.fault} ${during.fault}`);
  verdicts.push(
    judgeMost(`${name}: time until every worker is in the new state`, stateMs, MOST_STATE_MS, ' ms'),
    judgeMost(`${name}: requests that failed`, failures, 0),
  );
  if (!isTrial) verdicts.push(judgeMost(`${name}: answers of another version after that`, Math.max(...others), 0));
  else {
    const share = Math.max(...others) / CANARY_PROBES;
    const least = Math.min(...others) > 0 ? 0 : 1;
    verdicts.push(judgeMost('canary: part that the trial got', share, MOST_CANARY_SHARE));
    verdicts.push(judgeMost('canary: nodes on which the trial got nothing', least, 0));
  }
  return answer;
}

async function walk(whole: Walk): Promise<void> {
  const [first = '', second = '', third = ''] = VERSIONS;
  const go = (step: Step): Promise<unknown> => walkOne(whole, step);
  const { say } = whole.stage;
  say(format('step', ['answered ms', 'in force ms', 'failed', 'p99 before', 'p99 during', 'others seen']));
  const install = { plugin: PLUGIN, version: first, granted: GRANTED };
  await go({ name: 'install', method: 'POST', path: '/v1/installs', body: install, version: first, seen: 'none' });
  const binding = { plugin: PLUGIN, scope: { api: 'orders' }, config: {} };
  const bound = await go({
    name: 'bind',
    method: 'POST',
    path: '/v1/bindings',
    body: binding,
    version: first,
    seen: first,
  });
  await go({
    name: 'upgrade',
    method: 'PATCH',
    path: INSTALL,
    body: { version: second },
    version: second,
    seen: second,
  });
  const trial = { version: third, percent: CANARY_PERCENT, key: 'request' };
  await go({ name: 'canary', method: 'PUT', path: `${INSTALL}/canary`, body: trial, version: second, seen: second });
  await go({ name: 'promote', method: 'POST', path: `${INSTALL}/canary/promote`, version: third, seen: third });
  await go({ name: 'rollback', method: 'POST', path: `${INSTALL}/rollback`, version: second, seen: second });
  const { id } = bound as { readonly id: string };
  await go({ name: 'unbind', method: 'DELETE', path: `/v1/bindings/${id}`, version: second, seen: 'none' });
  await go({ name: 'uninstall', method: 'DELETE', path: INSTALL, version: undefined, seen: 'none' });
}

/** Installs once more, kills every process, and starts the nodes with neither database nor admin service. */
async function restartAlone(stage: Stage, second: GatewayNode): Promise<readonly Verdict[]> {
  const { instance, directory, say } = stage;
  const [, version = ''] = VERSIONS;
  await instance.ask('POST', '/v1/installs', { plugin: PLUGIN, version, granted: GRANTED });
  await instance.ask('POST', '/v1/bindings?wait=applied', { plugin: PLUGIN, scope: { api: 'orders' }, config: {} });
  await wait(COPY_MS);
  await Promise.all([instance.kill(), second.kill()]);
  const verdicts: Verdict[] = [];
  for (const name of ['data', 'second']) {
    const from = performance.now();
    const node = await startGatewayNode(nodeEnv(directory, name, NO_DATABASE));
    stage.defer(node.close);
    const seen = await probe(node.port, PROBES);
    const servedMs = performance.now() - from;
    say(`node ${name} after kill -9, without database and admin: ready after ${node.readyMs.toFixed(0)} ms`);
    const others = PROBES - (seen.get(version) ?? 0);
    verdicts.push(judgeMost(`node ${name} without a database: answers of another version`, others, 0));
    say(`  ${PROBES} requests answered after ${servedMs.toFixed(0)} ms`);
  }
  return verdicts;
}

function nodeEnv(directory: string, name: string, databaseUrl: string): Readonly<Record<string, string>> {
  return {
    DATABASE_URL: databaseUrl,
    SALLYPORT_DATA_DIR: join(directory, name),
    SALLYPORT_PLUGIN_ROOT: join(directory, 'data', 'marketplace', 'root.pub'),
    SALLYPORT_WORKERS: String(WORKERS),
  };
}

async function run(stage: Stage): ReturnType<EnduranceCase['run']> {
  const { instance, directory, port, env } = stage;
  const upstream = await startHttpUpstream(join(directory, 'upstream'), undefined);
  stage.defer(upstream.close);
  const second = await startGatewayNode(nodeEnv(directory, 'second', env['DATABASE_URL'] ?? ''));
  stage.defer(second.close);
  await publishApis(stage, Object.fromEntries(APIS.map((name) => [name, upstream.port])));
  const keys = generateKeys();
  await registerPublisher(instance, 'acme', keys);
  for (const version of VERSIONS) await publishVersion(instance, buildPackage(version), keys);

  const ports = [port, second.port];
  const paths = APIS.map((name) => `/${name}/1001`);
  const traffic = await Promise.all(
    ports.map((one) => startApiTraffic({ port: one, perSecond: PER_SECOND / ports.length, paths })),
  );
  for (const one of traffic) stage.defer(one.stop);
  await take(traffic, WINDOW_MS);
  const verdicts: Verdict[] = [];
  const workers = await listWorkers(instance);
  await walk({ stage, ports, traffic, verdicts });
  const replaced = (await listWorkers(instance)).filter((pid) => !workers.includes(pid)).length;
  for (const one of traffic) one.stop();
  verdicts.push(judgeMost('workers that were replaced meanwhile', replaced, 0));
  return [...verdicts, ...(await restartAlone(stage, second))];
}

const silent = (): void => {};

/** Starts a Postgres that two nodes can share. */
async function prepare({
  directory,
  defer,
}: Pick<Stage, 'directory' | 'defer'>): Promise<Readonly<Record<string, string>>> {
  const log = { debug: silent, info: silent, warn: silent, error: silent };
  const dataDir = join(directory, 'database');
  mkdirSync(dataDir, { mode: 0o700 });
  const postgres = await startEmbeddedPostgres({ dataDir, log });
  defer(() => postgres.stop());
  return { DATABASE_URL: postgres.databaseUrl };
}

/** Is the case. */
export const pluginChanges: EnduranceCase = {
  name: 'plugin-changes',
  description: `install, bind, upgrade, canary, promote, rollback, unbind and uninstall on two nodes under ${PER_SECOND} requests/s`,
  env: { SALLYPORT_WORKERS: String(WORKERS) },
  isUnpinned: true,
  mayLoseProcesses: true,
  handles: 4_096,
  prepare,
  run,
};
