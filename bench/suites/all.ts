// Lists the suites by name.
// Must not hold one.
import { grpcSuite } from './grpc.ts';
import { h2Suite } from './h2.ts';
import { proxySuite } from './proxy.ts';
import type { Trial } from './suite.ts';
import { tlsSuite } from './tls.ts';
import { websocketSuite } from './websocket.ts';

const SUITES: ReadonlyMap<string, readonly Trial[]> = new Map([
  ['proxy', proxySuite],
  ['tls', tlsSuite],
  ['h2', h2Suite],
  ['grpc', grpcSuite],
  ['websocket', websocketSuite],
]);

/** Finds the tables of a suite; `all` = of every one. @throws Error that names the suites when there is none of that name. */
export function findTrials(suite: string): readonly Trial[] {
  if (suite === 'all') return [...SUITES.values()].flat();
  const trials = SUITES.get(suite);
  if (trials === undefined) throw new Error(`--suite must be ${[...SUITES.keys()].join(', ')} or all, got "${suite}"`);
  return trials;
}
