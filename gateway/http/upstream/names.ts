// Finds the addresses of targets: looked up once for all who ask, remembered for a while, kept when the resolver fails.
// Must not open connections.
import { type LookupAddress, lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';

/** How long an answer holds. The system's resolver tells no time to live; this is how late a move is noticed at most. */
export const FRESH_MS: number = 5_000;
/** How long an old answer serves while the resolver fails: a resolver that is away must not take upstreams along. */
const STALE_MS = 3_600_000;
/** Names that are remembered; whoever has more pays with lookups. */
const MAX_NAMES = 10_000;

/** Asks the system for every address of a name. */
export type Resolve = (
  host: string,
  callback: (error: Error | null, addresses: readonly LookupAddress[]) => void,
) => void;

/** Remembers addresses. */
export interface Names {
  /** As `net.connect` takes it. */
  readonly lookup: LookupFunction;
  /** Looks a name up again when its answer is no longer fresh; tells the addresses that hold from now on. */
  refresh(host: string, callback: (addresses: readonly LookupAddress[]) => void): void;
}

interface Known {
  addresses: readonly LookupAddress[];
  foundMs: number;
  waiting: ((error: Error | null) => void)[] | undefined;
}

const askSystem: Resolve = (host, callback) => lookup(host, { all: true }, callback);

/** Is what the memory stands on; the system's where absent. */
export interface NamesOptions {
  readonly resolve?: Resolve;
  readonly monotonicMs?: () => number;
}

/** Makes an empty memory of names. */
export function createNames(options: NamesOptions = {}): Names {
  const { resolve = askSystem, monotonicMs = () => performance.now() } = options;
  const known = new Map<string, Known>();

  const knownOf = (host: string): Known => {
    const one = known.get(host);
    if (one) return one;
    if (known.size >= MAX_NAMES) known.clear();
    const made: Known = { addresses: [], foundMs: Number.NEGATIVE_INFINITY, waiting: undefined };
    known.set(host, made);
    return made;
  };
  // Everybody who asks meanwhile waits for the same answer: the system has few threads for this.
  const ask = (host: string, one: Known, callback: (error: Error | null) => void): void => {
    if (one.waiting) {
      one.waiting.push(callback);
      return;
    }
    one.waiting = [callback];
    resolve(host, (error, addresses) => {
      const nowMs = monotonicMs();
      const hasFound = !error && addresses.length > 0;
      if (hasFound) {
        one.addresses = addresses;
        one.foundMs = nowMs;
      }
      const failure = hasFound || isOf(one, nowMs, STALE_MS) ? null : (error ?? new Error(`${host} has no address`));
      const waiting = one.waiting ?? [];
      one.waiting = undefined;
      for (const tell of waiting) tell(failure);
    });
  };

  return {
    lookup(host, options, callback) {
      const one = knownOf(host);
      const answer = (error: Error | null): void => {
        const [first] = one.addresses;
        if (error || !first) callback(error ?? new Error(`${host} has no address`), []);
        else if (options.all) callback(null, [...one.addresses]);
        else callback(null, first.address, first.family);
      };
      if (isOf(one, monotonicMs(), FRESH_MS)) process.nextTick(answer, null);
      else ask(host, one, answer);
    },
    refresh(host, callback) {
      const one = knownOf(host);
      if (isOf(one, monotonicMs(), FRESH_MS)) return;
      ask(host, one, (error) => {
        if (!error) callback(one.addresses);
      });
    },
  };
}

function isOf({ addresses, foundMs }: Known, nowMs: number, maxMs: number): boolean {
  return addresses.length > 0 && nowMs - foundMs < maxMs;
}
