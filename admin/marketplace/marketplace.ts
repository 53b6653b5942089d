// The marketplace of one admin service: what its routes share, and the clock that keeps the index fresh.
// Must not hold a rule about publishers or versions.
import type { Logger } from '../../gateway/core/plugin.ts';
import { AdminError } from '../errors.ts';
import { createQueue } from '../queue.ts';
import type { Database } from '../store/database.ts';
import { lockMarketplace } from '../store/marketplace/lock.ts';
import { type Authority, openAuthority } from './authority.ts';
import { renewIndex } from './make-index.ts';
import { createRenderer, type RenderText } from './text/render.ts';

/** How often the age of the index is looked at, in milliseconds. */
const RENEWAL_INTERVAL_MS = 3_600_000;

/** Most packages that wait to be opened; each holds megabytes. */
const MAX_WAITING_PACKAGES = 16;

/** Is what handlers of the marketplace work with. */
export interface Marketplace {
  readonly authority: Authority;
  readonly renderText: RenderText;
  readonly nowMs: () => number;
  /** Opens and checks packages one after another: each takes CPU that other requests wait for. */
  readonly inTurn: <T>(task: () => Promise<T>) => Promise<T>;
  /** Looks whether the index is due to be signed anew. */
  renew(): Promise<void>;
  close(): void;
}

/** Says how to open a marketplace. */
export interface MarketplaceOptions {
  /** Where its keys are. */
  readonly folder: string;
  readonly database: Database;
  readonly log: Logger;
  readonly nowMs?: () => number;
}

/** Opens the marketplace: keys, root, a fresh index. @throws DATABASE_UNAVAILABLE */
export async function openMarketplace(options: MarketplaceOptions): Promise<Marketplace> {
  const { folder, database, log, nowMs = Date.now } = options;
  const authority = await openAuthority({ folder, database, log, nowMs });
  const renew = async (): Promise<void> => {
    await database.transaction(async (transaction) => {
      await lockMarketplace(transaction);
      const isMade = await renewIndex(transaction, { authority, log, nowMs: nowMs() });
      return { value: undefined, isKept: isMade };
    });
  };
  const tell = (error: unknown): void =>
    log.error('the index cannot be signed anew', { reason: error instanceof Error ? error.message : String(error) });
  await renew().catch((error: unknown) => {
    if (error instanceof AdminError && error.code === 'DATABASE_UNAVAILABLE') throw error;
    // The configuration must not depend on the marketplace.
    tell(error);
  });
  const timer = setInterval(() => void renew().catch(tell), RENEWAL_INTERVAL_MS).unref();
  return {
    authority,
    nowMs,
    renew,
    renderText: createRenderer(),
    inTurn: createQueue({
      atOnce: 1,
      maxWaiting: MAX_WAITING_PACKAGES,
      refuse: () =>
        new AdminError('TOO_MANY_WRITES', 'Too many packages are waiting; try again.', {
          headers: { 'Retry-After': '1' },
        }),
    }),
    close: () => clearInterval(timer),
  };
}
