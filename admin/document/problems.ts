// Collects what is wrong with many entities, so that one answer names all of it.
// Must not find problems itself.
import type { Problem } from '../../gateway/core/errors.ts';
import { MAX_PROBLEMS } from '../../gateway/core/validate.ts';
import { AdminError, invalid } from '../errors.ts';

type Found = Pick<Problem, 'pointer' | 'message'>;

/** Collects problems up to the bound of one answer. */
export class ProblemCollector {
  readonly #problems: Found[] = [];

  add(pointer: string, message: string): void {
    this.#problems.push({ pointer, message });
    if (this.#problems.length >= MAX_PROBLEMS) this.finish();
  }

  /** Gives what `work` gives; an invalid entity becomes problems below `pointer`, and undefined. */
  attempt<T>(work: () => T, pointer = ''): T | undefined {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof AdminError) || error.code !== 'CONFIG_INVALID') throw error;
      for (const problem of error.options.problems ?? []) this.add(`${pointer}${problem.pointer}`, problem.message);
      return undefined;
    }
  }

  /** @throws CONFIG_INVALID when anything was found */
  finish(): void {
    if (this.#problems.length > 0) throw invalid(this.#problems);
  }
}
