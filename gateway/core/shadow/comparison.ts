// How two versions compare over many exchanges: how many differ, in what, with some examples.
// Must not compare: effects.ts does. Must not show what is not redacted: whoever adds has done that.
import { type Difference, nameDifference } from './effects.ts';

/** Is an exchange in which two versions did something different. Holds nothing that a client could call a secret. */
export interface Example {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly api: string;
  readonly route: string;
  readonly differences: readonly Difference[];
}

/** Is how two versions compare. */
export interface Comparison {
  readonly compared: number;
  readonly differing: number;
  /** In how many exchanges each kind of difference was found, by its name. */
  readonly kinds: Readonly<Record<string, number>>;
  /** The first of each kind first. */
  readonly examples: readonly Example[];
}

/** Is a comparison of nothing. */
export const NOTHING_COMPARED: Comparison = { compared: 0, differing: 0, kinds: {}, examples: [] };

/** Most examples that are kept unless it is said otherwise. */
const MAX_EXAMPLES = 5;
/** Most kinds that are counted apart: names of headers are the plugin's to choose. */
const MAX_KINDS = 50;
const OTHER_KINDS = 'others';
/** Most differences that one example shows. */
const MAX_SHOWN = 20;

/** Adds an exchange: one that differs when it has differences. */
export function addExchange(to: Comparison, { differences, ...facts }: Example, maxExamples?: number): Comparison {
  if (differences.length === 0) return { ...to, compared: to.compared + 1 };
  const names = new Set(differences.map(nameDifference));
  const one: Comparison = {
    compared: 1,
    differing: 1,
    kinds: Object.fromEntries([...names].map((name) => [name, 1])),
    examples: [{ ...facts, differences: differences.slice(0, MAX_SHOWN) }],
  };
  return addComparisons(to, one, maxExamples);
}

/** Adds up what was compared in several places. */
export function addComparisons(one: Comparison, other: Comparison, maxExamples: number = MAX_EXAMPLES): Comparison {
  return {
    compared: one.compared + other.compared,
    differing: one.differing + other.differing,
    kinds: addKinds(one.kinds, other.kinds),
    examples: chooseExamples([...one.examples, ...other.examples], maxExamples),
  };
}

function addKinds(one: Comparison['kinds'], other: Comparison['kinds']): Comparison['kinds'] {
  const sums = new Map(Object.entries(one));
  for (const [name, count] of Object.entries(other)) {
    const kept = sums.has(name) || sums.size < MAX_KINDS ? name : OTHER_KINDS;
    sums.set(kept, (sums.get(kept) ?? 0) + count);
  }
  return Object.fromEntries(sums);
}

/** Ten examples of one kind say less than one of each. */
function chooseExamples(examples: readonly Example[], max: number): readonly Example[] {
  const seen = new Set<string>();
  const [fresh, more]: [Example[], Example[]] = [[], []];
  for (const example of examples) {
    const names = example.differences.map(nameDifference);
    (names.every((name) => seen.has(name)) ? more : fresh).push(example);
    for (const name of names) seen.add(name);
  }
  return [...fresh, ...more].slice(0, max);
}
