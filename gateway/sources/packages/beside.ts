// Which other version of an install runs beside it, and how the two become one plugin.
// Must not load anything.
import type { Install } from '../../core/model.ts';
import type { LoadedPlugin } from '../../core/pipeline.ts';
import { splitPlugin } from '../../core/setup/split.ts';
import { shadowPlugin } from '../../core/shadow/shadow.ts';

/** Is a version that runs beside the installed one. */
export interface Beside {
  /** Names it in problems. */
  readonly name: 'canary' | 'shadow';
  /** Is the install as if that version were installed. */
  readonly install: Install;
  /** Tells two trials of one version apart. */
  readonly facts: string;
  join(stable: LoadedPlugin, other: LoadedPlugin): LoadedPlugin;
}

/** Finds it; there is one at most. */
export function findBeside(install: Install): Beside | undefined {
  const { canary, shadow, ...rest } = install;
  if (canary !== undefined) {
    const { percent, key, rule: _rule, startedAt, ...pin } = canary;
    return {
      name: 'canary',
      install: { ...rest, ...pin },
      facts: JSON.stringify(['canary', percent, key, startedAt]),
      join: (stable, other) => splitPlugin({ stable, canary: other, percent, key }),
    };
  }
  if (shadow === undefined) return undefined;
  const { percent, startedAt, ...pin } = shadow;
  const secrets = Object.values(install.secrets);
  return {
    name: 'shadow',
    // In a process of its own whoever signed it: in this one it could hold up the exchanges that it is to leave alone.
    install: { ...rest, ...pin, tier: 'process' },
    facts: JSON.stringify(['shadow', percent, startedAt]),
    join: (installed, candidate) => shadowPlugin({ installed, candidate, percent, secrets }),
  };
}
