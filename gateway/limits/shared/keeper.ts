// Carries takes of workers to the shared stores and the answers back.
// Must not decide what a failed store means: the plugin's configuration does.
import type { LimitsKeeperMessage, SharedAnswer, SharedTake } from '../messages.ts';
import type { Scheduler } from '../scheduler.ts';
import type { SharedStores } from './store.ts';

/** Is the keeper's side of shared limits. */
export interface SharedKeeper {
  take(workerId: number, takes: readonly SharedTake[]): void;
}

/** Makes the keeper's side. Answers that come in one turn of the event loop go to a worker as one message. */
export function createSharedKeeper(options: {
  readonly stores: SharedStores;
  readonly scheduler: Scheduler;
  readonly send: (workerId: number, message: LimitsKeeperMessage) => void;
}): SharedKeeper {
  const { stores, scheduler, send } = options;
  const outboxes = new Map<number, SharedAnswer[]>();

  function flush(): void {
    for (const [workerId, sharedAnswers] of outboxes) send(workerId, { type: 'limits', orders: [], sharedAnswers });
    outboxes.clear();
  }

  function answer(workerId: number, answered: SharedAnswer): void {
    if (outboxes.size === 0) scheduler.soon(flush);
    const outbox = outboxes.get(workerId);
    if (outbox) outbox.push(answered);
    else outboxes.set(workerId, [answered]);
  }

  return {
    take(workerId, takes) {
      for (const { id, store: name, limiter, windows, key } of takes) {
        const store = stores[name];
        if (!store) answer(workerId, { id });
        else {
          store.take(limiter, windows, key).then(
            (verdict) => answer(workerId, { id, verdict }),
            () => answer(workerId, { id }),
          );
        }
      }
    },
  };
}
