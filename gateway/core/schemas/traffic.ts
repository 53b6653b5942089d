// JSON Schemas of what carries traffic: routes, apis, upstreams.
// Must not check anything that needs a second entity: that is check.ts.
import {
  entity,
  HOST_NAME_PATTERN,
  headerMatch,
  type JsonSchema,
  listOf,
  MAX_LIST_ITEMS,
  methods,
  milliseconds,
  name,
  paths,
  queryMatch,
  serverSet,
} from './shared.ts';
import { clientCertificatePolicy, upstreamTls } from './tls.ts';

// It is written into a request as it is: what would end the line there, or is no character of a target, must not be in it.
const HEALTH_PATH_PATTERN = '^/[!"$-~]*$';

const timeoutProperties: Readonly<Record<string, JsonSchema>> = {
  connectMs: milliseconds('Opening the connection, TLS included.', 5_000),
  responseMs: milliseconds('From the request sent to the response head.', 60_000),
  idleMs: milliseconds('Longest silence while a body is in flight.', 60_000),
  totalMs: {
    ...milliseconds(
      "From the head of a request to the end of its target's response, all tries included; 0 = no bound.",
      0,
    ),
    minimum: 0,
  },
};

const timeouts: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  description: 'Time bounds in milliseconds: of one try, and of all.',
  properties: timeoutProperties,
};

// Without defaults: what is absent is as the api has it.
const routeTimeouts: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  description: "Time bounds in the place of the api's, each by itself.",
  properties: Object.fromEntries(
    Object.entries(timeoutProperties).map(([key, { default: _, ...bound }]) => [key, bound]),
  ),
};

/** Describes a route: matches requests by host, path, method, headers and query. At least one of them is needed. */
export const ROUTE_SCHEMA: JsonSchema = {
  title: 'Route',
  type: 'object',
  additionalProperties: false,
  properties: {
    id: serverSet['id'],
    name: { ...name, description: 'Name, unique inside the api.' },
    hosts: listOf(
      { type: 'string', pattern: HOST_NAME_PATTERN, maxLength: 253 },
      'Exact (`api.example.com`) or wildcard (`*.example.com`), lower case, no port.',
    ),
    paths,
    methods,
    headers: headerMatch,
    query: queryMatch,
    stripPath: { type: 'boolean', default: true, description: 'Takes the matched path off before forwarding.' },
    timeouts: routeTimeouts,
  },
};

const retries: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  description: 'Retries happen only when nothing can have been done twice.',
  properties: { attempts: { type: 'integer', minimum: 0, maximum: 5, default: 1, description: 'Further tries.' } },
};

/** Describes an api: routes, an upstream, defaults. */
export const API_SCHEMA: JsonSchema = entity('Api', ['name', 'upstream'], {
  name,
  upstream: {
    description:
      'URL of a single target (`http://host:port/base`; also `https`, `h2c`, `h2`), or `{name}` of an upstream.',
    oneOf: [
      { type: 'string', pattern: '^(https?|h2c?)://[^\\s/?#@]+(/[^\\s?#]*)?$', maxLength: 2048 },
      { type: 'object', additionalProperties: false, required: ['name'], properties: { name } },
    ],
  },
  routes: { type: 'array', maxItems: MAX_LIST_ITEMS, default: [], items: ROUTE_SCHEMA, description: 'Its routes.' },
  enabled: { type: 'boolean', default: true, description: 'A disabled api matches nothing.' },
  preserveHost: { type: 'boolean', default: false, description: "Sends the client's Host upstream." },
  timeouts,
  retries,
  clientCertificate: clientCertificatePolicy,
  recordPerSecond: {
    type: 'integer',
    minimum: 1,
    maximum: 10,
    description: 'Requests that each worker keeps in a second for replays, without secrets and bodies. Absent = none.',
  },
});

const healthChecks: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  description: 'How sick targets are found.',
  properties: {
    active: {
      type: 'object',
      additionalProperties: false,
      description: 'Asks every target on a schedule. Absent = off.',
      properties: {
        path: {
          type: 'string',
          pattern: HEALTH_PATH_PATTERN,
          maxLength: 1024,
          default: '/',
          description: 'Path to GET.',
        },
        intervalMs: milliseconds('Time between two questions.', 5_000),
        timeoutMs: milliseconds('Longest wait for an answer.', 1_000),
        healthyStatuses: {
          type: 'array',
          minItems: 1,
          maxItems: 100,
          default: [200, 204, 302],
          items: { type: 'integer', minimum: 100, maximum: 599 },
          description: 'Statuses that count as healthy.',
        },
        healthyAfter: { type: 'integer', minimum: 1, maximum: 100, default: 2, description: 'Good answers in a row.' },
        unhealthyAfter: { type: 'integer', minimum: 1, maximum: 100, default: 3, description: 'Bad answers in a row.' },
      },
    },
    passive: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description: 'Learns from live traffic.',
      properties: {
        failures: {
          type: 'integer',
          minimum: 0,
          maximum: 1000,
          default: 5,
          description: 'Failed connections or broken answers in a row that eject a target; 0 = off.',
        },
        ejectMs: milliseconds('How long an ejected target rests.', 10_000),
      },
    },
  },
};

/** Describes an upstream: a named group of targets. */
export const UPSTREAM_SCHEMA: JsonSchema = entity('Upstream', ['name'], {
  name,
  protocol: {
    enum: ['http', 'https', 'h2c', 'h2'],
    default: 'http',
    description: 'How targets are spoken to: HTTP/1.1, or HTTP/2 in clear (`h2c`) and over TLS (`h2`).',
  },
  targets: {
    type: 'array',
    maxItems: MAX_LIST_ITEMS,
    default: [],
    description: 'host:port with a weight.',
    items: {
      type: 'object',
      additionalProperties: false,
      required: ['host', 'port'],
      properties: {
        host: { type: 'string', pattern: '^[A-Za-z0-9_.:-]{1,253}$', description: 'Host name or IP address.' },
        port: { type: 'integer', minimum: 1, maximum: 65_535, description: 'TCP port.' },
        weight: { type: 'integer', minimum: 0, maximum: 65_535, default: 100, description: 'Share; 0 = no traffic.' },
      },
    },
  },
  loadBalancing: {
    enum: ['round-robin', 'least-connections', 'random'],
    default: 'round-robin',
    description: 'How a target is chosen.',
  },
  healthChecks,
  tls: upstreamTls,
});
