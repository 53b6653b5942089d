// Holds the documents that Sallyport is measured with, and the requests that go with them.
// Must not start anything.
import { type LoadRequest, PLAIN_REQUESTS } from './contender.ts';

const CONSUMER_COUNT = 10_000;
const API_COUNT = 10_000;
/** Prime to API_COUNT: requests walk over all apis, and not in the order in which they were made. */
const API_STRIDE = 7919;
/** Is far above what the load asks of one consumer, so that every request is counted and none refused. */
const LIMIT = { requests: 10_000, windowSeconds: 60 };

/** Is a document as `PUT /v1/config` takes it. */
export type ConfigDocument = Readonly<Record<'apis' | 'consumers' | 'bindings', readonly unknown[]>>;

/** Is where a case's document points to. */
export interface CaseTargets {
  readonly upstreamUrl: string;
  readonly logPath: string;
}

/** Is one case: what Sallyport is configured with, and what is asked of it. */
export interface SallyportCase {
  readonly name: string;
  readonly description: string;
  /** Says whether the bindings of `full` are there: a request without a key is refused, every request is logged. */
  readonly hasPlugins: boolean;
  readonly requests: readonly LoadRequest[];
  /** How the target is spoken to; `http` by default. */
  readonly upstreamScheme?: string;
  buildDocument(targets: CaseTargets): ConfigDocument;
}

function buildApi(name: string, upstream: string): unknown {
  return { name, upstream, routes: [{ paths: [`/${name}`] }] };
}

function formatIndex(index: number): string {
  return String(index).padStart(5, '0');
}

function listIndexes(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index);
}

function buildKey(index: number): string {
  return `bench-key-${formatIndex(index)}`;
}

function buildConsumers(): readonly unknown[] {
  return listIndexes(CONSUMER_COUNT).map((index) => ({
    username: `consumer-${formatIndex(index)}`,
    credentials: [{ type: 'key-auth', key: buildKey(index) }],
  }));
}

function buildBindings(logPath: string): readonly unknown[] {
  return [
    { plugin: 'key-auth' },
    { plugin: 'rate-limiting', config: { limits: [LIMIT], by: 'consumer' } },
    { plugin: 'file-log', config: { path: logPath } },
    { plugin: 'prometheus' },
  ];
}

/** Gives what `full` configures besides its api. */
export function buildFull(logPath: string): Omit<ConfigDocument, 'apis'> {
  return { consumers: buildConsumers(), bindings: buildBindings(logPath) };
}

/** Are the requests of `full`, one for each consumer. */
export const keyedRequests: readonly LoadRequest[] = listIndexes(CONSUMER_COUNT).map((index) => ({
  path: '/orders/1001',
  headers: { apikey: buildKey(index) },
}));

const spreadRequests: readonly LoadRequest[] = keyedRequests.map(({ headers }, index) => ({
  path: `/orders-${formatIndex((index * API_STRIDE) % API_COUNT)}/1001`,
  headers,
}));

/** Is one api without a plugin. */
export const PLAIN_CASE: SallyportCase = {
  name: 'plain',
  description: 'Sallyport, one api, no plugin',
  hasPlugins: false,
  requests: PLAIN_REQUESTS,
  buildDocument: ({ upstreamUrl }) => ({ apis: [buildApi('orders', upstreamUrl)], consumers: [], bindings: [] }),
};

/** Lists the cases of ordinary requests. */
export const SALLYPORT_CASES: readonly SallyportCase[] = [
  PLAIN_CASE,
  {
    name: 'full',
    description: 'Sallyport, key-auth over 10 000 consumers, rate-limiting, file-log, prometheus',
    hasPlugins: true,
    requests: keyedRequests,
    buildDocument: ({ upstreamUrl, logPath }) => ({
      apis: [buildApi('orders', upstreamUrl)],
      ...buildFull(logPath),
    }),
  },
  {
    name: 'full-10k',
    description: 'the same over 10 000 apis',
    hasPlugins: true,
    requests: spreadRequests,
    buildDocument: ({ upstreamUrl, logPath }) => ({
      apis: listIndexes(API_COUNT).map((index) => buildApi(`orders-${formatIndex(index)}`, upstreamUrl)),
      ...buildFull(logPath),
    }),
  },
];
