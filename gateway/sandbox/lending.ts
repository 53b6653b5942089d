// What a set-up is lent, behind its plugin's grants: network by host, secrets by name, a memory of so many bytes.
// Must not know in which tier the plugin runs.

import { GatewayError } from '../core/errors.ts';
import { createMemory, type Memory } from '../core/lending/memory.ts';
import type { FetchOptions, FetchResult, Host, LimitWindow, Logger } from '../core/plugin.ts';
import { DeniedError, findUrlFault, type Grants } from './grants.ts';

/** Most calls of `fetch` in flight for one plugin; one that never lets go must not use up the connections of others. */
const MAX_FETCHES = 32;
/** Most bytes that a plugin may fetch at once. */
const MAX_FETCH_BYTES: number = 8 * 1024 * 1024;
/** Most lines that a plugin may log in a second: a log is for people. */
const MAX_LINES_PER_SECOND = 100;
const MAX_MESSAGE_LENGTH = 1_000;
const MAX_FIELDS_LENGTH = 8_000;
const MAX_FAMILIES = 20;
const MAX_LIMITERS = 16;
const METRIC_NAME = /^[a-z][a-z0-9_]{0,99}$/;

/** Is what all set-ups of one plugin share. */
export interface Lender {
  readonly grants: Grants;
  readonly secrets: Readonly<Record<string, string>>;
  readonly memory: Memory;
  fetches: number;
  lines: number;
  /** Monotonic second that `lines` counts. */
  second: number;
  readonly families: Set<string>;
  onDenied(error: DeniedError): void;
}

/** Makes what the set-ups of a plugin share. */
export function createLender(
  grants: Grants,
  secrets: Readonly<Record<string, string>>,
  onDenied: (error: DeniedError) => void,
): Lender {
  const memory = createMemory(grants.kvBytes);
  return { grants, secrets, memory, fetches: 0, lines: 0, second: 0, families: new Set(), onDenied };
}

function deny({ onDenied }: Lender, what: string): never {
  const error = new DeniedError(what);
  onDenied(error);
  throw error;
}

/** Gives the secrets that were granted and are there. */
export function listSecrets({ grants, secrets }: Lender): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(secrets).filter(([name]) => grants.secrets.has(name)));
}

/** Puts a plugin's grants before a host. */
export function guardHost(lender: Lender, host: Host): Host {
  const { grants } = lender;
  const { binding, clock } = host;
  const secrets = new Map(Object.entries(listSecrets(lender)));
  return {
    binding,
    clock,
    log: guardLog(lender, host),
    metrics: guardMetrics(lender, host),
    limits: guardLimits(lender, host),
    secrets: {
      get(name) {
        if (!grants.secrets.has(name)) deny(lender, `read secret ${name}`);
        return secrets.get(name);
      },
    },
    kv: guardMemory(lender, binding.id, () => clock.monotonicMs()),
    fetch: (url, options) => guardFetch(lender, host, url, options),
    onReopen: (callback) => host.onReopen(callback),
  };
}

async function guardFetch(lender: Lender, host: Host, url: string, options: FetchOptions = {}): Promise<FetchResult> {
  const refused = findUrlFault(lender.grants, url);
  if (refused !== undefined) deny(lender, refused);
  if (lender.fetches >= MAX_FETCHES) throw new Error('too many calls of fetch are in flight');
  lender.fetches++;
  try {
    const maxBytes = Math.min(options.maxBytes ?? MAX_FETCH_BYTES, MAX_FETCH_BYTES);
    return await host.fetch(url, { ...options, maxBytes });
  } finally {
    lender.fetches--;
  }
}

function guardMemory(lender: Lender, bindingId: string, nowMs: () => number): Host['kv'] {
  const { grants, memory } = lender;
  const keyOf = (key: string): string => {
    if (grants.kvBytes === 0) deny(lender, 'keep values');
    return `${bindingId} ${key}`;
  };
  return {
    get: (key) => memory.get(keyOf(key), nowMs()),
    set: (key, value, ttlMs) => memory.set(keyOf(key), value, { nowMs: nowMs(), ttlMs }),
    delete: (key) => memory.delete(keyOf(key)),
  };
}

function guardLog(lender: Lender, { log, binding, clock }: Host): Logger {
  const write =
    (level: keyof Logger): Logger['info'] =>
    (message, fields = {}) => {
      const second = Math.floor(clock.monotonicMs() / 1_000);
      if (second !== lender.second) Object.assign(lender, { second, lines: 0 });
      if (++lender.lines > MAX_LINES_PER_SECOND) return;
      const isFit = JSON.stringify(fields).length <= MAX_FIELDS_LENGTH;
      const { id, plugin } = binding;
      // Under one key: a plugin must not be able to write a line that looks like one of the gateway's.
      log[level](message.slice(0, MAX_MESSAGE_LENGTH), { plugin, binding: id, ...(isFit && { fields }) });
    };
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
}

function guardMetrics({ families }: Lender, { metrics }: Host): Host['metrics'] {
  const check = (name: string): void => {
    if (!METRIC_NAME.test(name) || name.startsWith('sallyport_') || name.startsWith('nodejs_')) {
      throw new TypeError('expected a metric name of a-z, 0-9 and _ that is not one of the gateway');
    }
    if (!families.has(name) && families.size >= MAX_FAMILIES) throw new RangeError('too many metrics');
    families.add(name);
  };
  return {
    counter(name, help, labelNames) {
      check(name);
      return metrics.counter(name, help, labelNames);
    },
    histogram(name, help, labelNames, buckets) {
      check(name);
      return metrics.histogram(name, help, labelNames, buckets);
    },
  };
}

function guardLimits(lender: Lender, { limits, binding }: Host): Host['limits'] {
  let made = 0;
  return {
    limiter({ name, windows, store }) {
      if (!lender.grants.canLimit) deny(lender, 'keep limits');
      if (++made > MAX_LIMITERS) throw new RangeError('too many limiters');
      return limits.limiter({ name: `${binding.plugin} ${name}`, windows: windows.map(toWindow), store });
    },
  };
}

function toWindow({ requests, windowMs }: LimitWindow): LimitWindow {
  if (![requests, windowMs].every((count) => Number.isSafeInteger(count) && count > 0)) {
    throw new GatewayError('INTERNAL', 'expected a limit of whole numbers from 1');
  }
  return { requests, windowMs };
}
