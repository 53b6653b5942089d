// Makes names that Sallyport takes of the names in a file, each once.
// Must not know what is named.

/** Is the form of a name. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** Leaves room for a number behind it. */
const MAX_SLUG_LENGTH = 110;

/** Says whether a text can stay as it is: a name that looks like an id would stand for two things. */
export function isName(text: string): boolean {
  return NAME.test(text) && !UUID.test(text);
}

/** Makes a name of any text; empty when nothing of it can stay. */
export function toSlug(text: string): string {
  const slug = text
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .replaceAll(/[^A-Za-z0-9._~-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, MAX_SLUG_LENGTH)
    .replace(/-+$/, '');
  return UUID.test(slug) ? `id-${slug}` : slug;
}

/** Hands out names of one kind, each once. Names that can stay are reserved first, so that none takes another's. */
export class NamePool {
  readonly #reserved: Set<string>;
  readonly #taken = new Set<string>();

  constructor(wanted: Iterable<string> = []) {
    this.#reserved = new Set([...wanted].filter(isName));
  }

  /** Gives the wanted name when it is one and still free, else one made of it, else one made of `fallback`. */
  claim(wanted: string | undefined, fallback: string): string {
    if (wanted !== undefined && this.#reserved.has(wanted) && !this.#taken.has(wanted)) return this.#take(wanted);
    const slug = toSlug(wanted ?? '') || toSlug(fallback) || 'unnamed';
    for (let count = 1; ; count++) {
      const name = count === 1 ? slug : `${slug}-${count}`;
      if (!this.#taken.has(name) && !this.#reserved.has(name)) return this.#take(name);
    }
  }

  #take(name: string): string {
    this.#taken.add(name);
    return name;
  }
}
