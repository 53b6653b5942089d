// What a fixture is: a request, and what must come of it, in one JSON file of a plugin's fixtures/.
// Must not run anything.
import { ConfigError } from '../core/errors.ts';
import type { JsonSchema } from '../core/schemas.ts';
import { buildValidator, type Validator } from '../core/validate.ts';

/** Is a file of fixtures/ as it was read. */
export interface FixtureFile {
  readonly name: string;
  readonly text: string;
}

/** Is who calls in a fixture. */
export interface FixtureConsumer {
  readonly username: string;
  readonly customId?: string;
  readonly groups?: readonly string[];
}

/** Says what header fields must be: a value, all values in order, or null = absent. Fields that are not named may be anything. */
export type ExpectedHeaders = Readonly<Record<string, string | readonly string[] | null>>;

/** Is one exchange and what must come of it. */
export interface Fixture {
  /** What it shows; default the file's name. */
  readonly name?: string;
  /** As in a binding; default `{}`. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly request: {
    readonly method?: string;
    readonly path?: string;
    readonly query?: string;
    readonly headers?: Readonly<Record<string, string | readonly string[]>>;
    /** Text, or a JSON value that is sent as its text. */
    readonly body?: unknown;
    readonly consumer?: FixtureConsumer;
  };
  /** What the upstream answers; default 200 without a body. */
  readonly upstream?: {
    readonly status?: number;
    readonly headers?: Readonly<Record<string, string | readonly string[]>>;
    readonly body?: unknown;
  };
  readonly expect: {
    readonly status?: number;
    /** What the client gets. */
    readonly response?: { readonly headers?: ExpectedHeaders; readonly body?: unknown };
    /** What the upstream gets; null = it must not be asked. */
    readonly sent?: {
      readonly path?: string;
      readonly query?: string;
      readonly headers?: ExpectedHeaders;
      readonly body?: unknown;
    } | null;
  };
}

const text = (description: string): JsonSchema => ({ type: 'string', description });
const shape = (properties: Readonly<Record<string, JsonSchema>>, required: readonly string[] = []): JsonSchema => ({
  type: 'object',
  additionalProperties: false,
  required,
  properties,
});
const path: JsonSchema = { ...text('a path such as /orders, without a query'), pattern: '^/[^?#]*$' };
const query: JsonSchema = { ...text('a query without `?`'), pattern: '^[^?#]*$' };
const status: JsonSchema = { type: 'integer', minimum: 200, maximum: 599, description: 'a status from 200 to 599' };
const values: JsonSchema = { type: ['string', 'array'], items: { type: 'string' } };
const headers: JsonSchema = { type: 'object', additionalProperties: values, description: 'header fields by name' };
const expectedHeaders: JsonSchema = {
  type: 'object',
  additionalProperties: { ...values, type: ['string', 'array', 'null'] },
  description: 'header fields by name: a value, a list of all values, or null for absent',
};
const body: JsonSchema = {};

const FIXTURE_SCHEMA: JsonSchema = shape(
  {
    $schema: { type: 'string' },
    name: text('what it shows'),
    config: { type: 'object', description: 'the configuration of the binding' },
    request: shape({
      method: { ...text('a method'), pattern: '^[A-Z]{1,20}$' },
      path,
      query,
      headers,
      body,
      consumer: shape(
        {
          username: text('who calls'),
          customId: text('its custom id'),
          groups: { type: 'array', items: { type: 'string' }, description: 'its groups' },
        },
        ['username'],
      ),
    }),
    upstream: shape({ status, headers, body }),
    expect: shape({
      status,
      response: shape({ headers: expectedHeaders, body }),
      sent: { ...shape({ path, query, headers: expectedHeaders, body }), type: ['object', 'null'] },
    }),
  },
  ['request', 'expect'],
);

// Holds the one compiled schema: a review reads a hundred files.
let checker: Validator | undefined;

/** Reads a fixture. @throws ConfigError with every problem, SyntaxError when it is no JSON. */
export function readFixture(file: FixtureFile): Fixture {
  checker ??= buildValidator(FIXTURE_SCHEMA);
  const fixture: unknown = JSON.parse(file.text);
  const problems = checker(fixture);
  if (problems.length > 0) throw new ConfigError(problems);
  // The schema is what Fixture says in TypeScript.
  return fixture as Fixture;
}
