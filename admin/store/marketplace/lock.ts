// Lets one writer of the marketplace in at a time, among all admin services on this database.
// Must not know a table.
import type { Knex } from 'knex';
import { WRITE_TIMEOUT_MS } from '../database.ts';

/** Two keys of the advisory lock: 'sall', 'mark' in ASCII. */
const LOCK_KEYS = [0x73616c6c, 0x6d61726b] as const;

/** Holds off every other writer of the marketplace until the transaction ends. */
export async function lockMarketplace(transaction: Knex.Transaction): Promise<void> {
  // An admin that freezes inside its transaction must not hold the lock for ever.
  await transaction
    .raw(
      `SET LOCAL idle_in_transaction_session_timeout = ${WRITE_TIMEOUT_MS};
       SET LOCAL lock_timeout = ${WRITE_TIMEOUT_MS - 1000};
       SELECT pg_advisory_xact_lock(${LOCK_KEYS[0]}, ${LOCK_KEYS[1]})`,
    )
    .options({ timeoutMs: WRITE_TIMEOUT_MS });
}
