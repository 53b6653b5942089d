// The table of states: every step there is and none besides, by everyone who may take it and by nobody else.
// Must not start a service.
import assert from 'node:assert/strict';
import type { Role } from '../../../admin/call.ts';
import {
  findTransition,
  listTargets,
  mayTake,
  TRANSITIONS,
  VERSION_STATES,
  type VersionState,
} from '../../../admin/marketplace/states.ts';

const ROLES: readonly Role[] = ['owner', 'editor', 'viewer', 'publisher', 'reviewer'];

/** What the documentation says, written down a second time: P = the publisher of the namespace, R = a reviewer. */
const EXPECTED: Readonly<Record<VersionState, Readonly<Partial<Record<VersionState, string>>>>> = {
  pending: { approved: 'review R', rejected: 'review R' },
  approved: { deprecated: 'state PR', yanked: 'state PR', revoked: 'state R' },
  rejected: {},
  deprecated: { approved: 'state PR', yanked: 'state PR', revoked: 'state R' },
  yanked: { approved: 'state R', deprecated: 'state R', revoked: 'state R' },
  revoked: {},
};

describe('states of a version', () => {
  for (const from of VERSION_STATES) {
    for (const to of VERSION_STATES) {
      const [way, who = ''] = (EXPECTED[from][to] ?? '').split(' ');
      it(`${way ? `go from ${from} to ${to} through ${way} by ${who}` : `never go from ${from} to ${to}`}`, () => {
        for (const through of ['review', 'state'] as const) {
          const step = findTransition(from, to, through);
          assert.equal(step !== undefined, way === through);
          assert.equal(listTargets(from, through).includes(to), way === through);
          if (step === undefined) continue;
          for (const role of ROLES) {
            for (const isOwn of [true, false]) {
              const isAllowed =
                role === 'owner' ||
                (role === 'reviewer' && who.includes('R')) ||
                (role === 'publisher' && isOwn && who.includes('P'));
              assert.equal(mayTake(step, role, isOwn), isAllowed, `${role} ${isOwn}`);
            }
          }
        }
      });
    }
  }

  it('have no step twice', () => {
    const keys = TRANSITIONS.map(({ from, to }) => `${from} ${to}`);

    assert.equal(new Set(keys).size, keys.length);
  });
});
