// The schema of what `POST /v1/explain` takes: it validates, and OpenAPI shows it.
// Must not explain.
import type { JsonSchema } from '../../gateway/core/schemas.ts';

/** Describes the request that `POST /v1/explain` takes. */
export const EXPLAIN_SCHEMA: JsonSchema = {
  title: 'ExplainRequest',
  type: 'object',
  additionalProperties: false,
  required: ['method', 'host', 'path'],
  properties: {
    method: { type: 'string', minLength: 1, maxLength: 32, description: 'HTTP method.' },
    host: { type: 'string', minLength: 1, maxLength: 300, description: 'Host header, with or without a port.' },
    path: { type: 'string', minLength: 1, maxLength: 16_384, description: 'Path, with or without a query.' },
    headers: {
      type: 'object',
      maxProperties: 100,
      additionalProperties: { type: 'string', maxLength: 8192 },
      description: 'Header fields by name.',
    },
    consumer: { type: 'string', minLength: 1, maxLength: 300, description: 'Id or user name of who calls.' },
  },
};
