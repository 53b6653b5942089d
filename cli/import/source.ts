// Reads the file that is imported with the reader of `apply`, and takes fields out of what it holds.
// Must not know which fields a format has.
import { readConfigFile } from '../config-file.ts';
import { CommandError } from '../output.ts';

/** Is an object of the file. */
export type Source = Readonly<Record<string, unknown>>;

/** Reads JSON or YAML. @throws CommandError in one line when it cannot be read or is no object */
export async function readSource(path: string): Promise<Source> {
  const { text, type } = await readConfigFile(path);
  const [{ readJson }, { readYaml }, { AdminError }] = await Promise.all([
    import('../../admin/middleware/json.ts'),
    import('../../admin/middleware/yaml.ts'),
    import('../../admin/errors.ts'),
  ]);
  try {
    const bytes = Buffer.from(text);
    const value = await (type === 'application/json' ? readJson(bytes) : readYaml(bytes));
    return asRecord(value, path);
  } catch (error) {
    if (error instanceof AdminError) throw new CommandError(`${path}: ${error.message}`);
    throw error;
  }
}

/** Says whether a value is an object. */
export function isRecord(value: unknown): value is Source {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Takes an object. @throws CommandError naming the place when it is none */
export function asRecord(value: unknown, place: string): Source {
  if (!isRecord(value)) throw new CommandError(`${place}: expected an object`);
  return value;
}

/** Takes a list; null and nothing are an empty one. @throws CommandError naming the place when it is none */
export function asList(value: unknown, place: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new CommandError(`${place}: expected a list`);
  return value;
}

/** Takes fields out of one object, and remembers which were asked for. Null is the same as nothing, as in Kong. */
export class Fields {
  readonly place: string;
  readonly #source: Source;
  readonly #asked = new Set<string>();

  constructor(source: Source, place: string) {
    this.#source = source;
    this.place = place;
  }

  /** Gives a field as it is. */
  get(key: string): unknown {
    this.#asked.add(key);
    return Object.hasOwn(this.#source, key) ? (this.#source[key] ?? undefined) : undefined;
  }

  /** Marks fields as known that mean nothing here. */
  skip(...keys: readonly string[]): void {
    for (const key of keys) this.#asked.add(key);
  }

  /** @throws CommandError when it is no text */
  text(key: string): string | undefined {
    const value = this.get(key);
    if (value === undefined || typeof value === 'string') return value;
    // YAML reads a name such as 123 as a number.
    if (typeof value === 'number') return String(value);
    throw new CommandError(`${this.place}.${key}: expected a text`);
  }

  /** @throws CommandError when it is no number */
  number(key: string): number | undefined {
    const value = this.get(key);
    if (value === undefined || typeof value === 'number') return value;
    throw new CommandError(`${this.place}.${key}: expected a number`);
  }

  /** @throws CommandError when it is neither true nor false */
  flag(key: string): boolean | undefined {
    const value = this.get(key);
    if (value === undefined || typeof value === 'boolean') return value;
    throw new CommandError(`${this.place}.${key}: expected true or false`);
  }

  /** @throws CommandError when it is no list of texts */
  texts(key: string): readonly string[] | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    const list = asList(value, `${this.place}.${key}`);
    for (const one of list) {
      if (typeof one !== 'string' && typeof one !== 'number')
        throw new CommandError(`${this.place}.${key}: expected a list of texts`);
    }
    return list.map(String);
  }

  /** Gives a field below this one; empty when it is not there. @throws CommandError when it is no object */
  below(key: string): Fields {
    const place = `${this.place}.${key}`;
    return new Fields(asRecord(this.get(key) ?? {}, place), place);
  }

  /** Lists the fields with a value that nobody asked for. */
  listUnasked(): readonly string[] {
    return Object.keys(this.#source).filter((key) => !this.#asked.has(key) && this.#source[key] != null);
  }
}
