// Which header names a grant covers, remembered: it is asked on every operation.
// Must not say what a pattern stands for: manifest.ts does, for whoever compares and whoever enforces.
import { coversHeader } from '../../core/manifest.ts';

/** Verdicts kept per grant; a plugin chooses the names it asks for, so there is a bound. */
const MAX_KNOWN = 1_000;

/** Answers whether a name is covered, remembering what it was asked. */
export class NamePatterns {
  readonly #patterns: readonly string[];
  readonly #isReserved: (name: string) => boolean;
  readonly #known: Map<string, boolean> = new Map();

  /** `isReserved` takes names away that only a pattern without a star brings back. */
  constructor(patterns: readonly string[], isReserved: (name: string) => boolean = () => false) {
    this.#patterns = patterns;
    this.#isReserved = isReserved;
  }

  has(name: string): boolean {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const lower = name.toLowerCase();
    const result = this.#isReserved(lower) ? this.#patterns.includes(lower) : coversHeader(this.#patterns, lower);
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(name, result);
    return result;
  }
}
