// Counts requests, times and bytes by api and route.
// Must not use a label whose values clients choose: paths, hosts, consumers and odd methods stay out.
import {
  type Counter,
  definePlugin,
  type Exchange,
  type Histogram,
  type MetricFamily,
  type Metrics,
  type Plugin,
} from 'sallyport/plugin';

/** Mirrors config.schema.json: there is nothing to set. */
export type Config = Readonly<Record<string, never>>;

interface Families {
  readonly requests: MetricFamily<Counter>;
  readonly requestBytes: MetricFamily<Counter>;
  readonly responseBytes: MetricFamily<Counter>;
  readonly seconds: MetricFamily<Histogram>;
  readonly upstreamSeconds: MetricFamily<Histogram>;
}

/** Is the series of one route, at hand: a request looks up a route and a number, and joins no labels. */
interface RouteSeries {
  readonly api: string;
  readonly route: string;
  readonly requestBytes: Counter;
  readonly responseBytes: Counter;
  readonly seconds: Histogram;
  readonly upstreamSeconds: Histogram;
  /** By method and status as one number. */
  readonly requests: Map<number, Counter>;
  /** The one that was found last, and its number: most answers of a route are alike. */
  lastNumber: number;
  last: Counter | undefined;
}

interface State {
  readonly families: Families;
  readonly routes: Map<string, RouteSeries>;
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
const OTHER_METHOD = 'other';
const MAX_STATUS = 1_000;

/** Routes at hand; more come only from configurations that change for weeks, and a fresh start costs nothing. */
const MAX_ROUTES = 100_000;

const ROUTE_LABELS = ['api', 'route'];

/** From a fast cache to the longest an upstream gets by default, in seconds. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Counts every request, also those that broke off. */
export const plugin: Plugin<Config, State> = definePlugin<Config, State>({
  setup: (_config, host) => ({ families: buildFamilies(host.metrics), routes: new Map() }),

  onLog(exchange, _config, state) {
    const { outcome } = exchange;
    const series = findSeries(exchange, state);
    findRequests(exchange, series, state.families).add(1);
    // Most requests have no body, and what is not touched need not be fetched from memory.
    if (outcome.requestBytes > 0) series.requestBytes.add(outcome.requestBytes);
    series.responseBytes.add(outcome.responseBytes);
    series.seconds.observe(outcome.totalMs / 1_000);
    if (outcome.upstreamMs !== undefined) series.upstreamSeconds.observe(outcome.upstreamMs / 1_000);
  },
});

function buildFamilies(metrics: Metrics): Families {
  const counter = (name: string, help: string): MetricFamily<Counter> => metrics.counter(name, help, ROUTE_LABELS);
  const histogram = (name: string, help: string): MetricFamily<Histogram> =>
    metrics.histogram(name, help, ROUTE_LABELS, BUCKETS);
  return {
    requests: metrics.counter('sallyport_http_requests_total', 'Requests by api, route, method and status.', [
      ...ROUTE_LABELS,
      'method',
      'status',
    ]),
    requestBytes: counter('sallyport_http_request_bytes_total', 'Bytes of request bodies.'),
    responseBytes: counter('sallyport_http_response_bytes_total', 'Bytes of response bodies.'),
    seconds: histogram(
      'sallyport_http_request_duration_seconds',
      'From the request head read to the response finished.',
    ),
    upstreamSeconds: histogram('sallyport_http_upstream_duration_seconds', "Wait for the upstream's response head."),
  };
}

function findSeries({ api, route }: Exchange, { families, routes }: State): RouteSeries {
  const found = routes.get(route.id);
  // An api or a route that was renamed is a new series.
  if (found?.api === api.name && found.route === route.name) return found;
  const made: RouteSeries = {
    api: api.name,
    route: route.name,
    requestBytes: families.requestBytes.series(api.name, route.name),
    responseBytes: families.responseBytes.series(api.name, route.name),
    seconds: families.seconds.series(api.name, route.name),
    upstreamSeconds: families.upstreamSeconds.series(api.name, route.name),
    requests: new Map(),
    lastNumber: 0,
    last: undefined,
  };
  if (routes.size >= MAX_ROUTES) routes.clear();
  routes.set(route.id, made);
  return made;
}

function findRequests({ request, response }: Exchange, series: RouteSeries, { requests }: Families): Counter {
  const method = METHODS.indexOf(request.method);
  // Without a response the client left before there was one: counted as status 0.
  const status = response?.status ?? 0;
  const number = (method + 1) * MAX_STATUS + status;
  if (series.last && series.lastNumber === number) return series.last;
  let found = series.requests.get(number);
  if (!found) {
    found = requests.series(series.api, series.route, METHODS[method] ?? OTHER_METHOD, String(status));
    series.requests.set(number, found);
  }
  series.lastNumber = number;
  series.last = found;
  return found;
}
