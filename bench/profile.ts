// Reads a .cpuprofile and tells which functions cost most by themselves.
// Must not take profiles.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

/** What V8 calls time in which nothing ran. */
const IDLE = new Set(['(idle)', '(program)', '(root)']);

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** Is a function's share of the time in which something ran. */
export interface FunctionCost {
  readonly name: string;
  /** 0..1 */
  readonly share: number;
}

/** Gives the functions of a profile, costliest first. */
export function readCosts(profile: CpuProfile): readonly FunctionCost[] {
  const names = new Map(
    profile.nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => {
      const place = url === '' ? '' : ` ${basename(url)}:${lineNumber + 1}`;
      return [id, `${functionName || '(anonymous)'}${place}`] as const;
    }),
  );
  const micros = new Map<string, number>();
  let total = 0;
  profile.samples.forEach((id, index) => {
    const name = names.get(id) ?? '(unknown)';
    if (IDLE.has(name)) return;
    const delta = profile.timeDeltas[index] ?? 0;
    total += delta;
    micros.set(name, (micros.get(name) ?? 0) + delta);
  });
  return [...micros].map(([name, spent]) => ({ name, share: spent / total })).sort((a, b) => b.share - a.share);
}

/** Describes the costliest functions of a profile file, a line each. */
export function describeProfile(path: string, count: number): string {
  const costs = readCosts(JSON.parse(readFileSync(path, 'utf8')) as CpuProfile).slice(0, count);
  return costs.map(({ name, share }) => `  ${(share * 100).toFixed(1).padStart(5)} %  ${name}`).join('\n');
}
