// Tests the reading of CPU profiles.
// Must not take one.
import assert from 'node:assert/strict';
import { readCosts } from './profile.ts';

describe('readCosts', () => {
  it('gives each function its share of the time in which something ran', () => {
    const frame = (functionName: string, url: string) => ({ functionName, url, lineNumber: 9 });
    const nodes = [
      { id: 1, callFrame: frame('(idle)', '') },
      { id: 2, callFrame: frame('handle', 'file:///app/engine.js') },
      { id: 3, callFrame: frame('', 'file:///app/router.js') },
    ];

    const costs = readCosts({ nodes, samples: [1, 2, 3, 2], timeDeltas: [500, 30, 25, 45] });

    assert.deepEqual(costs, [
      { name: 'handle engine.js:10', share: 0.75 },
      { name: '(anonymous) router.js:10', share: 0.25 },
    ]);
  });
});
