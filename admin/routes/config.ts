// The whole configuration: export and apply.
// Must not know a kind of entity: that is document/.
import { answerWrite, checkPreconditions } from '../answers.ts';
import type { Answer, Call, RouteSpec } from '../call.ts';
import { buildDiff, showChanges } from '../document/diff.ts';
import { exportDocument } from '../document/export.ts';
import { applyConfig } from '../document/import.ts';
import { readConfigDocument } from '../document/read-config.ts';
import { hashPasswordsIn } from '../document/seal.ts';
import { printYaml } from '../middleware/yaml.ts';
import { findVersion } from '../store/marketplace/versions.ts';
import { WRITE_QUERY } from './resource.ts';

/** Lists the routes of the whole configuration. */
export const CONFIG_ROUTES: readonly RouteSpec[] = [
  {
    method: 'GET',
    path: '/v1/config',
    role: 'viewer',
    summary: 'Export the configuration; hashes and sealed secrets only for editors and owners',
    gives: 'Config',
    query: ['ids'],
    handle: read,
  },
  {
    method: 'PUT',
    path: '/v1/config',
    role: 'editor',
    summary: 'Apply a configuration, all or nothing',
    takes: 'Config',
    gives: 'Diff',
    body: 'config',
    query: [...WRITE_QUERY, 'mode', 'allowShrink'],
    handle: apply,
  },
];

async function read(call: Call): Promise<Answer> {
  const state = await call.services.publisher.read();
  // Whoever holds the hashes of passwords can guess them at leisure.
  const document = exportDocument(state, { hasIds: call.query.ids, hasSecrets: call.actor.role !== 'viewer' });
  const answer = { etag: buildConfigEtag(state.revision), revision: state.revision };
  if (!/\byaml\b/i.test(call.accept)) return { ...answer, body: document };
  return { ...answer, body: await printYaml(document), mediaType: 'application/yaml' };
}

async function apply(call: Call): Promise<Answer> {
  const { services, query } = call;
  const started = performance.now();
  const config = await readConfigDocument(await hashPasswordsIn(call.body, await services.publisher.read()));
  services.log.debug('configuration read', { ms: Math.round(performance.now() - started) });
  let locate: Awaited<ReturnType<typeof applyConfig>> | undefined;
  return await answerWrite(call, {
    action: `config.${query.mode}`,
    summary: `${query.mode} the configuration`,
    async change(draft, transaction) {
      checkPreconditions(call, buildConfigEtag(draft.base.revision));
      locate = await applyConfig(draft, config, {
        isMerge: query.mode === 'merge',
        allowShrink: query.allowShrink === true,
        isDryRun: query.dryRun === true,
        plugins: services.plugins,
        findVersion: (plugin, version) => findVersion(transaction, plugin, version),
        secretKey: services.secretKey,
      });
      return draft.changes();
    },
    locate: (problem) => locate?.(problem) ?? problem.pointer,
    answer: (changes) => ({ body: showChanges(changes.map(buildDiff)) }),
  });
}

function buildConfigEtag(revision: number): string {
  return `"r${revision}"`;
}
