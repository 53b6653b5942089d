// Tests the command line of the benchmark.
// Must not start a benchmark.
import assert from 'node:assert/strict';
import { readOptions } from './options.ts';

describe('bench options', () => {
  it('measures every case in five rounds by default', () => {
    const options = readOptions([]);

    assert.deepEqual([options.only, options.rounds, options.seconds, options.connections], [[], 5, 4, 64]);
    assert.equal(options.suite, 'proxy');
  });

  it('lets an explicit number win over --quick', () => {
    const options = readOptions(['--quick', '--rounds', '3', '--only', 'plain,full']);

    assert.deepEqual([options.only, options.rounds, options.seconds], [['plain', 'full'], 3, 2]);
  });

  it('names the option that does not parse', () => {
    assert.throws(() => readOptions(['--rounds', '0']), /--rounds must be a whole number from 1, got "0"/);
  });
});
