// Finds namespaces that a reader could take for one another.
// Must not forbid a name: people decide.

/** Characters that look like others, in the form in which they are compared. */
const LOOKALIKES: Readonly<Record<string, string>> = {
  '0': 'o',
  '1': 'l',
  i: 'l',
  '3': 'e',
  '5': 's',
  '8': 'b',
  '2': 'z',
};

/** Shortest namespaces of which one edit still tells little: `a1` and `b1` are not alike. */
const MIN_EDITED_LENGTH = 4;

/** Lists the namespaces, but the one itself, that look or read like it. */
export function listSimilar(namespace: string, others: Iterable<string>): readonly string[] {
  const form = normalise(namespace);
  return [...others].filter((other) => other !== namespace && isSimilar(form, normalise(other)));
}

function isSimilar(one: string, other: string): boolean {
  if (one === other) return true;
  return Math.min(one.length, other.length) >= MIN_EDITED_LENGTH && isOneEditApart(one, other);
}

function normalise(namespace: string): string {
  return [...namespace.replaceAll('-', '').replaceAll('rn', 'm').replaceAll('vv', 'w')]
    .map((character) => LOOKALIKES[character] ?? character)
    .join('');
}

/** Says whether one letter more, less or other, or two swapped, is all that differs. */
function isOneEditApart(one: string, other: string): boolean {
  const [short, long] = one.length <= other.length ? [one, other] : [other, one];
  if (long.length - short.length > 1) return false;
  let at = 0;
  while (at < short.length && short[at] === long[at]) at += 1;
  if (long.length > short.length) return short.slice(at) === long.slice(at + 1);
  const isSwapped =
    short[at] === long[at + 1] && short[at + 1] === long[at] && short.slice(at + 2) === long.slice(at + 2);
  return isSwapped || short.slice(at + 1) === long.slice(at + 1);
}
