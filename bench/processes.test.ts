// Tests the reading of /proc.
// Must not depend on the machine's load.
import assert from 'node:assert/strict';
import { readStat } from './processes.ts';

describe('readStat', () => {
  it('adds user and system time, own and of ended children, in milliseconds', () => {
    const stat = readStat('42 (node) S 7 42 42 0 -1 0 0 0 0 0 100 20 3 4 20 0 11 0 5 6 7');

    assert.deepEqual(stat, { parentPid: 7, cpuMs: 1270 });
  });

  it('is not misled by a process name with spaces and parentheses', () => {
    const stat = readStat('42 (a) S 9 (b) S 7 42 42 0 -1 0 0 0 0 0 1 0 0 0 20 0');

    assert.deepEqual(stat, { parentPid: 7, cpuMs: 10 });
  });
});
