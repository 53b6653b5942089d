// Deletes recorded requests that are too old, also when no node writes any more.
// Must not delete anything else.
import type { Logger } from '../../gateway/core/plugin.ts';
import type { Database } from '../store/database.ts';
import { deleteAged } from '../store/recorded/requests.ts';

const LOOK_MS = 3_600_000;

/** Looks now and once an hour, until it is closed. */
export function keepRecordingsYoung(database: Database, log: Logger): { close(): void } {
  const look = (): void => {
    database.run(deleteAged).catch((error: unknown) => log.debug('old recordings were not deleted', { error }));
  };
  const timer = setInterval(look, LOOK_MS);
  timer.unref();
  look();
  return { close: () => clearInterval(timer) };
}
