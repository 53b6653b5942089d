// Tells browsers which origins may call, and answers their preflight requests.
// Must not be taken for access control: only browsers obey it.
import { definePlugin, type Exchange, type HeaderFields, type Plugin } from 'sallyport/plugin';
import { buildOriginMatcher, type OriginMatcher } from './origins.ts';

/** Mirrors config.schema.json. */
export interface Config {
  readonly origins: readonly string[];
  readonly methods: readonly string[];
  readonly headers: readonly string[];
  readonly exposedHeaders: readonly string[];
  readonly credentials: boolean;
  readonly maxAgeSeconds: number;
}

/** Is the configuration made ready; undefined texts are not sent, or asked of the request. */
interface Rules {
  /** Undefined = everybody. */
  readonly isListed: OriginMatcher | undefined;
  /** Undefined = whatever the preflight asks for. */
  readonly methods: string | undefined;
  readonly headers: string | undefined;
  readonly exposedHeaders: string | undefined;
}

/** Remembers the origin: a transformer may take the header off before it goes upstream. */
const ORIGIN = 'cors.origin';

const TOKEN_LIST = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+([\t ]*,[\t ]*[!#$%&'*+.^_`|~0-9A-Za-z-]+)*$/;

/** Answers preflights and marks responses. @see https://fetch.spec.whatwg.org/#http-cors-protocol */
export const plugin: Plugin<Config, Rules> = definePlugin<Config, Rules>({
  setup(config) {
    const isAny = config.origins.includes('*');
    if (isAny && config.origins.length > 1) throw new TypeError('the origin * stands alone');
    // A browser refuses "*" with credentials; reflecting every origin instead would let every site act as the user.
    if (isAny && config.credentials) throw new TypeError('credentials need a list of origins, not *');
    return {
      isListed: isAny ? undefined : buildOriginMatcher(config.origins),
      methods: config.methods.includes('*') ? undefined : config.methods.join(', '),
      headers: config.headers.includes('*') ? undefined : config.headers.join(', '),
      exposedHeaders: config.exposedHeaders.join(', ') || undefined,
    };
  },

  onRequest(exchange, config, rules) {
    const { headers, method } = exchange.request;
    const origins = headers.getAll('origin');
    if (origins.length === 0) return;
    // Two Origin headers are no origin at all.
    if (origins.length === 1) exchange.state.set(ORIGIN, origins[0]);
    // Answered here, before authentication: a preflight carries no credential.
    if (method === 'OPTIONS' && headers.has('access-control-request-method')) answerPreflight(exchange, config, rules);
  },

  onResponse({ request, response, state }, config, rules) {
    if (!response) return;
    const { headers } = response;
    // What the upstream says of itself would stand beside ours, and two answers are none.
    headers.delete('access-control-allow-origin');
    headers.delete('access-control-allow-credentials');
    headers.delete('access-control-expose-headers');
    if (rules.isListed) addVary(headers, 'Origin');

    const origin = state.get(ORIGIN);
    if (rules.isListed && !(typeof origin === 'string' && rules.isListed(origin))) return;
    headers.set('access-control-allow-origin', rules.isListed ? String(origin) : '*');
    if (config.credentials) headers.set('access-control-allow-credentials', 'true');
    const isPreflight = request.method === 'OPTIONS' && headers.has('access-control-allow-methods');
    if (rules.exposedHeaders && !isPreflight) headers.set('access-control-expose-headers', rules.exposedHeaders);
  },
});

function answerPreflight(exchange: Exchange, config: Config, rules: Rules): void {
  const { headers } = exchange.request;
  const origin = exchange.state.get(ORIGIN);
  const vary: string[] = [];
  const answer: Record<string, string> = {};
  const allow = (name: string, listed: string | undefined, asked: string): void => {
    const value = listed ?? headers.get(asked) ?? '';
    if (listed === undefined) vary.push(asked);
    if (TOKEN_LIST.test(value)) answer[name] = value;
  };

  // An origin that is not listed gets an answer that allows nothing; `onResponse` names the origin.
  if (typeof origin === 'string' && (rules.isListed?.(origin) ?? true)) {
    allow('access-control-allow-methods', rules.methods, 'access-control-request-method');
    allow('access-control-allow-headers', rules.headers, 'access-control-request-headers');
    answer['access-control-max-age'] = String(config.maxAgeSeconds);
  }
  if (vary.length > 0) answer['vary'] = vary.join(', ');
  exchange.respond(204, answer);
}

function addVary(headers: HeaderFields, name: string): void {
  const present = headers
    .getAll('vary')
    .join(',')
    .split(',')
    .map((token) => token.trim().toLowerCase());
  if (!present.includes('*') && !present.includes(name.toLowerCase())) headers.append('vary', name);
}
