// Migrates a database, and tells one that is away from one that refuses.
// Must not retry: who waits for a database knows best how.
import type { Logger } from '../../gateway/core/ports.ts';
import { migrateUp } from '../../migrations/migrate.ts';
import { CommandError } from '../output.ts';

/** Says of a database that it is away, which passes, and not that its URL is wrong. */
const AWAY: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  '57P01', // shutting down
  '57P03', // starting up
  '53300', // too many connections
]);

/** Migrates; gives false when the database does not answer. @throws CommandError when it answers and refuses. */
export async function migrate(databaseUrl: string, log: Logger): Promise<boolean> {
  try {
    await migrateUp(databaseUrl, log);
    return true;
  } catch (error) {
    const { code, reason } = describe(error);
    if (!AWAY.has(code)) throw toFailure(error);
    log.error('the database does not answer; it is tried again', { reason });
    return false;
  }
}

/** Says in one line why a database could not be migrated. */
export function toFailure(error: unknown): CommandError {
  return new CommandError(`cannot prepare the database: ${describe(error).reason}`);
}

function describe(error: unknown): { readonly code: string; readonly reason: string } {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  // An aggregate of refused addresses has a code, but no message of its own.
  return { code, reason: error instanceof Error ? error.message || code : String(error) };
}
