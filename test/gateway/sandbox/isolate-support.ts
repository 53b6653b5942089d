// Which tiers can be tested here.
// Must not start anything.
import type { Tier } from '../../../gateway/sandbox/sandbox.ts';

/** Names the tiers that this machine has. */
export const TIERS: readonly Tier[] = ['native', 'process'];

/** Names those in which a plugin may be anybody's. */
export const GUEST_TIERS: readonly Tier[] = TIERS.filter((tier) => tier !== 'native');
