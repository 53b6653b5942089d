// Who may see and touch what of the marketplace.
// Must not read a body.
import type { Actor } from '../call.ts';
import { AdminError } from '../errors.ts';
import type { Viewer } from '../store/marketplace/plugins.ts';
import type { Publisher } from '../store/marketplace/publishers.ts';
import { PUBLIC_STATES, type VersionState } from './states.ts';

/** Says what a token sees that is not approved: reviewers and owners all, a publisher its own. */
export function viewerOf({ role, name }: Actor, publishers: readonly Publisher[]): Viewer {
  return {
    seesAll: role === 'owner' || role === 'reviewer',
    namespaces:
      role === 'publisher' ? publishers.filter(({ token }) => token === name).map(({ namespace }) => namespace) : [],
  };
}

/** Says whether a version in this state is there for the viewer. */
export function isVisible({ seesAll, namespaces }: Viewer, namespace: string, state: VersionState): boolean {
  return seesAll || PUBLIC_STATES.includes(state) || namespaces.includes(namespace);
}

/** Says whether the namespace is the token's own. */
export function isOwn({ role, name }: Actor, publisher: Publisher): boolean {
  return role === 'publisher' && publisher.token === name;
}

/** Lets owners pass, and the publisher of the namespace. @throws NAMESPACE_FOREIGN */
export function requireNamespace(actor: Actor, namespace: string, publisher: Publisher | undefined): Publisher {
  if (publisher === undefined) {
    throw new AdminError('NAMESPACE_FOREIGN', `There is no publisher ${namespace}; register it first.`);
  }
  if (publisher.origin !== null) {
    throw new AdminError('NAMESPACE_FOREIGN', `${namespace} was imported from another marketplace; publish there.`);
  }
  if (actor.role !== 'owner' && !isOwn(actor, publisher)) {
    throw new AdminError('NAMESPACE_FOREIGN', `The namespace ${namespace} belongs to another token.`);
  }
  return publisher;
}
