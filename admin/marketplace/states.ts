// The states of a published version, and who may bring it from which to which: as data.
// Must not read or write a version.
import type { Role } from '../call.ts';

/** Names the states of a version. Only the last four are in the index; gateways load `approved` and `deprecated` anew. */
export type VersionState = 'pending' | 'approved' | 'rejected' | 'deprecated' | 'yanked' | 'revoked';

/** Is one step that a version may take. */
export interface Transition {
  readonly from: VersionState;
  readonly to: VersionState;
  /** `review` decides about what is pending, `state` about what was approved once. */
  readonly through: 'review' | 'state';
  /** Who may take it besides the owner; a publisher only for namespaces of its own. */
  readonly roles: readonly ('publisher' | 'reviewer')[];
}

/** Lists the states. */
export const VERSION_STATES: readonly VersionState[] = [
  'pending',
  'approved',
  'rejected',
  'deprecated',
  'yanked',
  'revoked',
];

/** Lists the states in which a version is, or was, for everyone. */
export const PUBLIC_STATES: readonly VersionState[] = ['approved', 'deprecated', 'yanked', 'revoked'];

/**
 * Lists every step there is. Nothing leaves `rejected` or `revoked`: a publisher mends and publishes the next version. Only a
 * reviewer takes a yank back, as the reason for it may lie with the publisher.
 */
export const TRANSITIONS: readonly Transition[] = [
  { from: 'pending', to: 'approved', through: 'review', roles: ['reviewer'] },
  { from: 'pending', to: 'rejected', through: 'review', roles: ['reviewer'] },
  { from: 'approved', to: 'deprecated', through: 'state', roles: ['publisher', 'reviewer'] },
  { from: 'approved', to: 'yanked', through: 'state', roles: ['publisher', 'reviewer'] },
  { from: 'approved', to: 'revoked', through: 'state', roles: ['reviewer'] },
  { from: 'deprecated', to: 'approved', through: 'state', roles: ['publisher', 'reviewer'] },
  { from: 'deprecated', to: 'yanked', through: 'state', roles: ['publisher', 'reviewer'] },
  { from: 'deprecated', to: 'revoked', through: 'state', roles: ['reviewer'] },
  { from: 'yanked', to: 'approved', through: 'state', roles: ['reviewer'] },
  { from: 'yanked', to: 'deprecated', through: 'state', roles: ['reviewer'] },
  { from: 'yanked', to: 'revoked', through: 'state', roles: ['reviewer'] },
];

/** Finds the step from one state to another by way of a review or of a change of state. */
export function findTransition(
  from: VersionState,
  to: VersionState,
  through: Transition['through'],
): Transition | undefined {
  return TRANSITIONS.find((one) => one.from === from && one.to === to && one.through === through);
}

/** Lists where a version can go from here by way of a review or of a change of state. */
export function listTargets(from: VersionState, through: Transition['through']): readonly VersionState[] {
  return TRANSITIONS.filter((one) => one.from === from && one.through === through).map(({ to }) => to);
}

/** Says whether a role may take a step; `isOwnNamespace` counts for publishers only. */
export function mayTake(transition: Transition, role: Role, isOwnNamespace: boolean): boolean {
  if (role === 'owner') return true;
  if (role === 'publisher') return isOwnNamespace && transition.roles.includes('publisher');
  return role === 'reviewer' && transition.roles.includes('reviewer');
}
