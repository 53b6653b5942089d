// Counts requests by caller and refuses what is beyond a limit.
// Must not count by itself: `host.limits` does, exactly over all workers of the node.
import {
  definePlugin,
  type Exchange,
  GatewayError,
  type Host,
  type Limiter,
  type LimitStore,
  type LimitVerdict,
  type MaybePromise,
  type Plugin,
} from 'sallyport/plugin';
import { buildCallerKey, type CallerKey } from './caller-key.ts';
import { type LimitText, listTexts, markResponse, writePolicy } from './limit-headers.ts';
import { addNote, findNote } from './notes.ts';

/** Mirrors config.schema.json. */
export interface Config {
  readonly limits: readonly { readonly requests: number; readonly windowSeconds: number }[];
  readonly by: string | readonly string[];
  readonly store: LimitStore;
  readonly onStoreFailure: 'open' | 'closed';
}

/** Is the configuration made ready: a request builds nothing but its key. */
interface State {
  readonly keyOf: CallerKey;
  readonly limiter: Limiter;
  /** Limits on this node alone while a shared store is away; undefined = refuse then. */
  readonly standIn: Limiter | undefined;
  readonly texts: readonly LimitText[];
  readonly policy: string;
  /** By window. One for all requests: a flood must not pay for stack traces. */
  readonly refusals: readonly GatewayError[];
}

/** Takes one request from the caller's budget. @throws RATE_LIMITED when it is used up. */
export const plugin: Plugin<Config, State> = definePlugin<Config, State>({
  setup(config, host) {
    const texts = listTexts(config.limits, host.binding.name);
    return {
      keyOf: buildCallerKey(config.by),
      ...buildLimiters(config, host),
      texts,
      policy: writePolicy(texts),
      refusals: config.limits.map(
        ({ requests, windowSeconds }) =>
          new GatewayError('RATE_LIMITED', `the limit is ${requests} requests in ${windowSeconds} s`),
      ),
    };
  },

  onRequest(exchange, _config, state) {
    const key = state.keyOf(exchange);
    const verdict = state.limiter.take(key);
    if (!(verdict instanceof Promise)) return judge(exchange, state, verdict);
    return verdict.catch((error: unknown) => standIn(state, key, error)).then((late) => judge(exchange, state, late));
  },

  onResponse(exchange, _config, state) {
    const note = findNote(exchange, state);
    if (note) markResponse(exchange, note, state);
  },
});

/** The limiter is named by the binding, so that its counts outlive every change of configuration. */
function buildLimiters({ limits, store, onStoreFailure }: Config, host: Host): Pick<State, 'limiter' | 'standIn'> {
  const name = host.binding.id;
  const windows = limits.map(({ requests, windowSeconds }) => ({ requests, windowMs: windowSeconds * 1_000 }));
  const hasStandIn = store !== 'local' && onStoreFailure === 'open';
  return {
    limiter: host.limits.limiter({ name, windows, store }),
    standIn: hasStandIn ? host.limits.limiter({ name, windows, store: 'local' }) : undefined,
  };
}

function judge(exchange: Exchange, state: State, verdict: LimitVerdict): void {
  addNote(exchange, state, verdict);
  if (!verdict.isAllowed) throw state.refusals[verdict.window] ?? new GatewayError('RATE_LIMITED', 'too many requests');
}

function standIn(state: State, key: string, cause: unknown): MaybePromise<LimitVerdict> {
  if (state.standIn) return state.standIn.take(key);
  throw new GatewayError('CANNOT_VERIFY', 'the shared counters are out of reach', { cause });
}
