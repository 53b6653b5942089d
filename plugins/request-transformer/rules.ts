// The configuration of request-transformer, and the list of steps it is read into.
// Must not touch a request.

/** Gives name to value: as an object, or as Kong's list of `name:value`. */
export type Pairs<Value> = Readonly<Record<string, Value>> | readonly string[];

/** Is what a verb with values does to each part of a request. */
export interface Valued<BodyValue> {
  readonly headers: Pairs<string>;
  readonly query: Pairs<string>;
  readonly body: Pairs<BodyValue>;
}

/** Mirrors config.schema.json. */
export interface Config {
  readonly remove: Readonly<Record<Part, readonly string[]>>;
  readonly rename: Valued<string>;
  readonly replace: Valued<unknown>;
  readonly add: Valued<unknown>;
  readonly append: Valued<unknown>;
  readonly maxBodyBytes: number;
}

/** Names a part of a request. */
export type Part = 'headers' | 'query' | 'body';

/** Is one thing to do. `value` is a new name for `rename`, undefined for `remove`. */
export interface Step {
  readonly verb: 'remove' | 'rename' | 'replace' | 'add' | 'append';
  readonly name: string;
  readonly value: unknown;
}

const VALUED = ['rename', 'replace', 'add', 'append'] as const;

/** Reads the steps for one part in the order they run: remove, rename, replace, add, append. */
export function readSteps(config: Config, part: Part): readonly Step[] {
  const removals: Step[] = config.remove[part].map((name) => ({ verb: 'remove', name, value: undefined }));
  const rest = VALUED.flatMap((verb) =>
    readPairs(config[verb][part]).map(([name, value]): Step => ({ verb, name, value })),
  );
  return [...removals, ...rest];
}

function readPairs(pairs: Pairs<unknown>): readonly (readonly [name: string, value: unknown])[] {
  if (!isList(pairs)) return Object.entries(pairs);
  return pairs.map((pair) => {
    const border = pair.indexOf(':');
    return [pair.slice(0, border), pair.slice(border + 1)];
  });
}

function isList(pairs: Pairs<unknown>): pairs is readonly string[] {
  return Array.isArray(pairs);
}
