// What keeper and worker say to each other: one JSON message each, told apart by `channel`.
// Must not hold behaviour beyond cutting an update into parts.
import type { Problem } from '../../core/errors.ts';
import type { AsideOrder, CutReport } from '../../core/hooks/cut.ts';
import type { Change, Update } from '../../core/model.ts';
import type { InstallReport } from '../../core/setup/runs.ts';
import type { FamilyData } from '../../ops/metrics.ts';
import type { NodeReport } from './report.ts';
import type { NodeSettings } from './settings.ts';

/** Goes from the keeper to a worker. */
export type ToWorker =
  | { readonly channel: 'start'; readonly settings: NodeSettings }
  | UpdatePart
  | { readonly channel: 'commit'; readonly revision: number }
  | { readonly channel: 'discard'; readonly revision: number }
  | { readonly channel: 'listen'; readonly port: number; readonly tlsPort?: number }
  | { readonly channel: 'tickets'; readonly secret: string }
  | { readonly channel: 'drain' }
  | { readonly channel: 'reopen' }
  | { readonly channel: 'metrics'; readonly id: number }
  | { readonly channel: 'aside'; readonly order: AsideOrder }
  | PartsMessage;

/** Goes from a worker to the keeper. */
export type ToKeeper =
  | { readonly channel: 'booted' }
  | { readonly channel: 'started' }
  | { readonly channel: 'prepared'; readonly revision: number; readonly problems: readonly Problem[] }
  | { readonly channel: 'committed'; readonly revision: number; readonly installs: readonly InstallReport[] }
  | { readonly channel: 'listening'; readonly port: number; readonly tlsPort?: number }
  | { readonly channel: 'failed'; readonly step: FailedStep; readonly code: string; readonly message: string }
  | { readonly channel: 'ailing'; readonly reason: string }
  | { readonly channel: 'cut'; readonly report: CutReport }
  | { readonly channel: 'beat'; readonly loopDelayMs: number; readonly rssBytes: number }
  | { readonly channel: 'report'; readonly report: NodeReport }
  | { readonly channel: 'metrics'; readonly id: number; readonly family: FamilyData | null }
  | PartsMessage;

/** Names what a worker could not do: start, or listen in clear or over TLS. */
export type FailedStep = 'start' | 'proxy' | 'proxyTls';

/** Belongs to a part of the node that speaks a language of its own: limits, the credentials directory, isolates, recorded requests. */
export type PartsMessage =
  | { readonly channel: 'limits'; readonly body: unknown }
  | { readonly channel: 'directory'; readonly body: unknown }
  | { readonly channel: 'isolates'; readonly body: unknown }
  | { readonly channel: 'recorded'; readonly body: unknown };

/** Is a piece of an update; the worker prepares when the last has come. */
export interface UpdatePart {
  readonly channel: 'update';
  readonly revision: number;
  readonly isReset: boolean;
  readonly changes: readonly Change[];
  readonly isLast: boolean;
}

/** Is the id of the counts that a worker sends unasked as it ends. */
export const LAST_METRICS = 0;

/** Changes in one message: parsing it holds a worker's event loop for about a millisecond, never for ten. */
const CHANGES_PER_PART = 200;

/** Cuts an update into messages. */
export function* cutUpdate(update: Update): Generator<UpdatePart> {
  const { revision, isReset, changes } = update;
  let from = 0;
  do {
    const to = from + CHANGES_PER_PART;
    yield { channel: 'update', revision, isReset, changes: changes.slice(from, to), isLast: to >= changes.length };
    from = to;
  } while (from < changes.length);
}
