// Reads query parameters: each is known, typed and there at most once.
// Must not know what a parameter does.
import type { JsonSchema } from '../../gateway/core/schemas.ts';
import { AdminError } from '../errors.ts';
import { VERSION_STATES, type VersionState } from '../marketplace/states.ts';

/** Is every query parameter of the admin service, typed; a route takes some of them. */
export interface Query {
  readonly limit: number;
  readonly cursor?: string;
  readonly search?: string;
  readonly tag?: string;
  readonly dryRun?: boolean;
  readonly wait?: 'applied';
  readonly waitMs: number;
  readonly mode: 'replace' | 'merge';
  readonly allowShrink?: boolean;
  readonly ids: boolean;
  readonly against?: number;
  readonly actor?: string;
  readonly action?: string;
  readonly kind?: string;
  readonly entity?: string;
  readonly revision?: number;
  readonly since?: string;
  readonly until?: string;
  readonly category?: string;
  readonly state?: VersionState;
  readonly plugin?: string;
}

/** Names a query parameter. */
export type QueryName = keyof Query;

const revision: JsonSchema = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER };
const text: JsonSchema = { type: 'string', minLength: 1, maxLength: 256 };
const time: JsonSchema = { type: 'string', format: 'date-time', minLength: 1, maxLength: 40 };

/** Describes every query parameter; OpenAPI shows the same. */
export const QUERY_PARAMETERS: Readonly<Record<QueryName, JsonSchema>> = {
  limit: { type: 'integer', minimum: 1, maximum: 1000, default: 100, description: 'Most items of one page.' },
  cursor: {
    type: 'string',
    minLength: 1,
    maxLength: 2048,
    description: 'Where the page starts: `next` of the one before.',
  },
  search: { ...text, description: 'Keeps items whose name holds this text, in any case.' },
  tag: { ...text, description: 'Keeps items with this tag.' },
  dryRun: { type: 'boolean', default: false, description: 'Answers with the diff and writes nothing.' },
  wait: { enum: ['applied'], description: 'Holds the answer until every live node runs the revision.' },
  waitMs: {
    type: 'integer',
    minimum: 1,
    maximum: 60_000,
    default: 10_000,
    description: 'Longest wait, in milliseconds.',
  },
  mode: { enum: ['replace', 'merge'], default: 'replace', description: '`merge` leaves alone what is not listed.' },
  allowShrink: {
    type: 'boolean',
    default: false,
    description: 'Allows a replacement that removes most of what is there.',
  },
  ids: { type: 'boolean', default: true, description: '`false` leaves ids and times out.' },
  against: { ...revision, description: 'Revision to compare with; the one before when absent.' },
  actor: { ...text, description: 'Keeps events of this actor.' },
  action: { ...text, description: 'Keeps events of this action, such as `api.update`.' },
  kind: { ...text, description: 'Keeps events about this kind of entity.' },
  entity: { ...text, description: 'Keeps events about the entity with this id.' },
  revision: { ...revision, description: 'Keeps events of this revision.' },
  since: { ...time, description: 'Keeps events at or after this time.' },
  until: { ...time, description: 'Keeps events before this time.' },
  category: { ...text, description: 'Keeps plugins of this category.' },
  state: { enum: VERSION_STATES, description: 'Keeps plugins with a version in this state.' },
  plugin: { ...text, description: 'Keeps this plugin only: `namespace/name`.' },
};

/**
 * Reads the query of a request.
 *
 * @throws QUERY_INVALID for a parameter that the route does not take, that is there twice, or whose value does not fit.
 */
export function readQuery(search: string, allowed: readonly QueryName[]): Query {
  const values: Record<string, unknown> = { limit: 100, waitMs: 10_000, mode: 'replace', ids: true };
  const seen = new Set<string>();
  for (const [name, raw] of new URLSearchParams(search)) {
    const known = allowed.find((candidate) => candidate === name);
    if (known === undefined) refuse(name, allowed.length > 0 ? `unknown; known are ${allowed.join(', ')}` : 'unknown');
    if (seen.has(name)) refuse(name, 'there twice');
    seen.add(name);
    values[known] = readValue(known, raw, QUERY_PARAMETERS[known]);
  }
  return values as unknown as Query;
}

function readValue(name: string, raw: string, schema: JsonSchema): unknown {
  const choices = schema['type'] === 'boolean' ? ['true', 'false'] : schema['enum'];
  if (Array.isArray(choices)) {
    if (!choices.includes(raw)) refuse(name, `expected ${choices.join(' or ')}`);
    return schema['type'] === 'boolean' ? raw === 'true' : raw;
  }
  if (schema['type'] === 'integer') {
    const value = /^[0-9]{1,16}$/.test(raw) ? Number(raw) : Number.NaN;
    const [min, max] = [Number(schema['minimum']), Number(schema['maximum'])];
    if (!(value >= min && value <= max)) refuse(name, `expected a whole number from ${min} to ${max}`);
    return value;
  }
  const maxLength = Number(schema['maxLength']);
  if (raw.length === 0 || raw.length > maxLength) refuse(name, `expected 1 to ${maxLength} characters`);
  if (raw.includes('\0')) refuse(name, 'expected text without NUL');
  if (schema['format'] === 'date-time' && Number.isNaN(Date.parse(raw))) refuse(name, 'expected an RFC 3339 time');
  return raw;
}

function refuse(name: string, message: string): never {
  const shown = name.slice(0, 64);
  throw new AdminError('QUERY_INVALID', `Query parameter ${shown}: ${message}.`, {
    problems: [{ pointer: '', message: `query parameter ${shown}: ${message}` }],
  });
}
