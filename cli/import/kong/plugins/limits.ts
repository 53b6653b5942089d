// Translates rate-limiting.
// Must not allow more than Kong would.
import { expectOnly, type PluginCall, type Translator } from './translator.ts';

const WINDOWS = { second: 1, minute: 60, hour: 3_600, day: 86_400 } as const;
const STORES: ReadonlyMap<string, string> = new Map([
  ['local', 'local'],
  ['cluster', 'postgres'],
  ['redis', 'redis'],
]);

/** Translates rate-limiting. Its windows slide here, so what passes is at most what passes in Kong. */
export const translateRateLimiting: Translator = (call) => {
  const { options } = call;
  const limits = Object.entries(WINDOWS).flatMap(([key, windowSeconds]) => {
    const requests = options.number(key);
    return requests === undefined ? [] : [{ requests, windowSeconds }];
  });
  for (const key of ['month', 'year']) {
    if (options.number(key) !== undefined)
      call.trouble(`${key}: a window is at most a day here; set a limit for a day`);
  }
  const by = readCaller(call);
  const policy = options.text('policy') ?? 'local';
  const store = STORES.get(policy);
  if (store === undefined) call.trouble(`policy: ${policy} is none of ${[...STORES.keys()].join(', ')}`);
  if (store === 'redis') call.tell('policy: set SALLYPORT_REDIS_URL on every node; which Redis it is stands there');
  // Where Redis is, and how often counts are sent there, are settings of a node here.
  options.skip('redis', 'sync_rate', 'redis_host', 'redis_port', 'redis_password', 'redis_username', 'redis_database');
  options.skip('redis_timeout', 'redis_ssl', 'redis_ssl_verify', 'redis_server_name');
  const isOpen = options.flag('fault_tolerant') ?? true;
  for (const [key, values] of Object.entries({
    hide_client_headers: [false],
    error_code: [429],
    error_message: ['API rate limit exceeded'],
  })) {
    expectOnly(call, key, { values, otherwise: 'the answer is not configurable', isHarmless: true });
  }
  if (limits.length === 0 || by === undefined) return undefined;
  return { limits, by, store: store ?? 'local', onStoreFailure: isOpen ? 'open' : 'closed' };
};

/** Gives who has a budget of his own; undefined when there is nothing like it. */
function readCaller({ options, bound, routeCount, trouble }: PluginCall): string | undefined {
  const kind = options.text('limit_by') ?? 'consumer';
  const header = options.text('header_name');
  options.skip('path');
  if (kind === 'consumer' || kind === 'credential' || kind === 'ip') return kind;
  if (kind === 'header' && header !== undefined) return `header:${header}`;
  // One budget for all callers: that of the only route is that of the service.
  const isOneRoute = bound === 'route' || (bound === 'service' && routeCount === 1);
  if (kind === 'service' && isOneRoute) return 'route';
  trouble(`limit_by: ${kind} has no counterpart here; choose consumer, credential, ip, route or header:NAME`);
  return undefined;
}
