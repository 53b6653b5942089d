// Watches versions on trial: installs those that go well for long enough, ends the trial of those that do not.
// Must not touch a trial that somebody changed meanwhile.
import type { DocumentState } from '../../gateway/core/config.ts';
import type { Install } from '../../gateway/core/model.ts';
import type { Logger } from '../../gateway/core/plugin.ts';
import type { Draft } from '../document/draft.ts';
import type { Publisher } from '../publish.ts';
import type { Database } from '../store/database.ts';
import { listNodes } from '../store/nodes.ts';
import { readCanary } from './facts.ts';
import { judgeCanary } from './judge.ts';
import { endCanary, promoteCanary } from './trial.ts';

/** Who it is in audit and revisions. */
const ACTOR = 'canary';
/** Nodes report every few seconds; a canary that fails is set aside on its node long before. */
const LOOK_MS = 2_000;

/** Is what watching needs. */
export interface CanaryWatchOptions {
  readonly publisher: Publisher;
  readonly database: Database;
  readonly log: Logger;
}

/** Watches trials until it is closed. */
export function watchCanaries(options: CanaryWatchOptions): { close(): void } {
  const { log } = options;
  let isLooking = false;
  const timer = setInterval(() => {
    if (isLooking) return;
    isLooking = true;
    lookAtCanaries(options)
      // The database is away: nothing can be decided, and nothing is lost.
      .catch((error: unknown) => log.debug('trials were not looked at', { error }))
      .finally(() => {
        isLooking = false;
      });
  }, LOOK_MS);
  timer.unref();
  return { close: () => clearInterval(timer) };
}

/** Judges every trial once. */
async function lookAtCanaries({ publisher, database, log }: CanaryWatchOptions): Promise<void> {
  // Without a trial in what is known the database is not asked: whoever begins one here, or reads it, makes it known.
  const known = publisher.peek();
  if (known !== undefined && listTrials(known).length === 0) return;
  const onTrial = listTrials(await publisher.read());
  if (onTrial.length === 0) return;
  const nodes = await database.run(listNodes);
  for (const install of onTrial) {
    const { plugin, version, canary } = install;
    if (canary === undefined) continue;
    const { decision, reason } = judgeCanary(canary.rule, readCanary({ plugin, version, canary }, nodes, Date.now()));
    if (decision === 'wait') continue;
    const change = decision === 'promote' ? promoteCanary : endCanary;
    await publisher.publish((draft) => changeSame(draft, install, change), {
      actor: ACTOR,
      action: `install.${decision}`,
      summary: `${decision} ${plugin}@${canary.version}: ${reason}`,
      isDryRun: false,
    });
    log.info(`a version on trial: ${decision}`, { plugin, version: canary.version, reason });
  }
}

function listTrials({ installs }: DocumentState): readonly Install[] {
  return [...installs.values()].filter(({ canary }) => canary !== undefined);
}

function changeSame(draft: Draft, seen: Install, change: (draft: Draft, install: Install) => Install): void {
  const now = draft.base.installs.get(seen.id);
  // Another admin service may have been quicker, or a person.
  if (now?.canary !== undefined && now.canary.startedAt === seen.canary?.startedAt) change(draft, now);
}
