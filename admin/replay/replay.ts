// Replays recorded requests through a version of a plugin, and through the installed one beside it.
// Must not run code in this process: a child starts the sandboxes, and only they run it.
import { fileURLToPath } from 'node:url';
import type { DocumentState } from '../../gateway/core/config.ts';
import type { Api, Binding, Install } from '../../gateway/core/model.ts';
import type { RecordedRequest } from '../../gateway/core/shadow/recorded.ts';
import type { PluginPackage } from '../../gateway/package/package.ts';
import { runChild } from '../child.ts';
import { findEntity, type Input } from '../document/read.ts';
import { AdminError, invalidField } from '../errors.ts';
import { type PackageServices, readPackage } from '../installs/package.ts';
import { createQueue, type QueueOptions } from '../queue.ts';
import { listRecorded } from '../store/recorded/requests.ts';

/** The compiled name: a URL in a string is not rewritten by the compiler. */
const RUNNER = fileURLToPath(new URL('../../gateway/testing/replay-main.js', import.meta.url));
/** Time for all requests together, in milliseconds. */
const BUDGET_MS = 15_000;
/** Longest life of the child: starting the sandboxes comes on top. */
const LIFE_MS = 40_000;
/** Longest report that is read: a plugin chooses what is in it. */
const MAX_REPORT_BYTES = 4_194_304;

/** Bounds how many there are: each takes three processes. */
export const REPLAY_QUEUE: QueueOptions = {
  atOnce: 1,
  maxWaiting: 4,
  refuse: () =>
    new AdminError('TOO_MANY_REPLAYS', 'Too many replays are waiting; try again.', {
      headers: { 'Retry-After': String(BUDGET_MS / 1_000) },
    }),
};

const inTurn: ReturnType<typeof createQueue> = createQueue(REPLAY_QUEUE);

/** Says what to replay. */
export interface ReplayOrder {
  readonly plugin: string;
  /** As the schema of a replay has it. */
  readonly input: Input;
}

interface Report {
  readonly fault: { readonly side: 'candidate' | 'installed'; readonly message: string } | null;
  readonly replay: (Input & { readonly compared: number }) | null;
  readonly incidents: readonly string[];
}

/** Replays, and gives what came of it. @throws CONFIG_INVALID; CONFLICT when nothing is recorded; TOO_MANY_REPLAYS */
export async function replay(services: PackageServices, state: DocumentState, order: ReplayOrder): Promise<Input> {
  const { plugin, input } = order;
  const version = String(input['version']);
  const install = findEntity(state.installs, 'install', plugin);
  const binding = findBinding(state, order);
  const api = findApi(state, input, binding);
  const bound = binding ?? (input['config'] === undefined ? chooseBinding(state, plugin, api) : undefined);
  const [candidate, installed, newest] = await Promise.all([
    readPackage(services, plugin, version),
    install && readPackage(services, plugin, install.version, ['approved', 'deprecated', 'yanked']),
    services.database.run((knex) => listRecorded(knex, api.id, Number(input['count']))),
  ]);
  if (candidate === undefined)
    throw invalidField('/version', `expected a version of ${plugin} that is approved; there is no such ${version}`);
  if (newest.length === 0) {
    const advice = 'Set recordPerSecond of the api, send some, and try again after a few seconds';
    throw new AdminError('CONFLICT', `No request of ${api.name} is recorded. ${advice}.`);
  }
  const given = input['config'] ?? bound?.config ?? {};
  // What somebody writes here has the shape of the candidate; what is bound, that of the installed version.
  const isBound = input['config'] === undefined && bound !== undefined;
  const report = await inTurn(() =>
    runReplay({
      candidate: toSide(candidate, given, isBound ? install : undefined),
      installed: installed === undefined ? null : toSide(installed, bound?.config ?? given, undefined),
      requests: [...newest].reverse(),
      maxExamples: Number(input['maxExamples']),
    }),
  );
  return {
    ...{ plugin, version, api: api.name, binding: isBound ? bound.id : null },
    ...report.replay,
    installed: report.replay?.['installed'] ?? null,
    incidents: report.incidents,
  };
}

function toSide({ code, manifest, configSchema }: PluginPackage, config: unknown, from: Install | undefined): Input {
  const configVersion = (from?.manifest ?? manifest).configVersion ?? 1;
  return { code, manifest, configSchema, config, configVersion };
}

async function runReplay(job: {
  readonly candidate: Input;
  readonly installed: Input | null;
  readonly requests: readonly RecordedRequest[];
  readonly maxExamples: number;
}): Promise<Report> {
  const bounds = { lifeMs: LIFE_MS, maxBytes: MAX_REPORT_BYTES };
  const text = await runChild(RUNNER, JSON.stringify({ ...job, budgetMs: BUDGET_MS }), bounds);
  if (text === undefined)
    throw invalidField('/version', `the replay did not come to an end within ${LIFE_MS / 1000} s`);
  // The child is ours; what it repeats of plugins comes out as text.
  const report = JSON.parse(text) as Report;
  const { fault } = report;
  if (fault === null) return report;
  const isConfig = fault.message.startsWith('config');
  if (fault.side === 'candidate') throw invalidField(isConfig ? '/config' : '/version', fault.message);
  throw invalidField('', `the installed version cannot be run: ${fault.message}`);
}

function findApi(state: DocumentState, input: Input, binding: Binding | undefined): Api {
  const ref = input['api'] ?? binding?.scope.api;
  if (ref === undefined) throw invalidField('/api', 'expected the api whose requests are to be replayed');
  const api = findEntity(state.apis, 'api', String(ref));
  if (api === undefined) throw invalidField('/api', `there is no api ${String(ref)}`);
  return api;
}

function findBinding(state: DocumentState, { plugin, input }: ReplayOrder): Binding | undefined {
  if (input['binding'] === undefined) return undefined;
  if (input['config'] !== undefined) throw invalidField('/config', 'expected a binding or a configuration, not both');
  const ref = String(input['binding']);
  const binding = findEntity(state.bindings, 'binding', ref);
  if (binding?.plugin === plugin) return binding;
  throw invalidField('/binding', `there is no binding ${ref} of ${plugin}`);
}

/** Finds the one binding that an api has of a plugin, else the one that all have; none = the configuration is empty. */
function chooseBinding(state: DocumentState, plugin: string, api: Api): Binding | undefined {
  const all = [...state.bindings.values()].filter(
    (one) => one.plugin === plugin && one.effect === 'apply' && one.enabled,
  );
  const own = all.filter(({ scope }) => scope.api === api.id);
  const found = own.length > 0 ? own : all.filter(({ scope }) => Object.keys(scope).length === 0);
  if (found.length > 1)
    throw invalidField(
      '/binding',
      `expected one of ${found
        .map(({ id }) => id)
        .slice(0, 10)
        .join(', ')}`,
    );
  return found[0];
}
