// The fuzz groups with known seeds: a few hundred cases each time, the long runs are for `npm run fuzz`.
import assert from 'node:assert/strict';
import { decoders } from './decoders.ts';
import { clientFrames, targetFrames } from './frames.ts';
import type { Group } from './group.ts';
import { createRandom } from './random.ts';
import { pipelining, requests } from './requests.ts';
import { responses, upgrades } from './responses.ts';

const PLAN: readonly (readonly [Group, number])[] = [
  [decoders, 300],
  [requests, 40],
  [pipelining, 20],
  [responses, 200],
  [upgrades, 40],
  [clientFrames, 40],
  [targetFrames, 40],
];

describe('generated messages', () => {
  for (const [group, cases] of PLAN) {
    it(`show nothing in ${cases} cases of ${group.name}`, async () => {
      const open = await group.open();
      try {
        for (let seed = 1; seed <= cases; seed++) {
          assert.equal(await open.run(createRandom(seed)), undefined, `--group ${group.name} --seed ${seed}`);
        }
      } finally {
        await open.close();
      }
    }).timeout(60_000);
  }
});
