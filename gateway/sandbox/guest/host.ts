// What a guest's set-up is lent: log and metrics as notes, everything else as calls.
// Must not be trusted by the gateway, which checks every call again.
import type {
  FetchOptions,
  FetchResult,
  Host,
  Limiter,
  LimitVerdict,
  Logger,
  MetricFamily,
} from '../../core/plugin.ts';
import type { CallName, Lent, Note } from '../messages.ts';
import type { Answer } from './exchange.ts';
import { NotGranted } from './headers.ts';

/** Is what the host of a guest is made of. */
export interface HostParts {
  readonly instance: number;
  readonly lent: Lent;
  note(note: Note): void;
  ask(name: CallName, args: readonly unknown[], bytes?: Uint8Array): Promise<Answer>;
  wallMs(): number;
  monotonicMs(): number;
}

/** Makes the host of one set-up. */
export function buildGuestHost(parts: HostParts): Host {
  const { lent, ask, wallMs, monotonicMs } = parts;
  return {
    binding: lent.binding,
    clock: { wallMs, monotonicMs },
    log: buildLog(parts),
    metrics: {
      counter: (name, help, labelNames) =>
        buildFamily(parts, ['counter', name, help, labelNames, []], (send) => ({ add: send })),
      histogram: (name, help, labelNames, buckets) =>
        buildFamily(parts, ['histogram', name, help, labelNames, buckets], (send) => ({ observe: send })),
    },
    limits: {
      limiter: (options): Limiter => ({
        take: async (key) => (await ask('take', [options, String(key)])).value as LimitVerdict,
      }),
    },
    secrets: {
      get(name) {
        if (!Object.hasOwn(lent.secrets, name)) throw new NotGranted(`read secret ${name}`);
        return lent.secrets[name];
      },
    },
    kv: {
      get: async (key) => ((await ask('kvGet', [key])).value ?? undefined) as string | undefined,
      set: async (key, value, ttlMs) => void (await ask('kvSet', [key, value, ttlMs ?? null])),
      delete: async (key) => void (await ask('kvDelete', [key])),
    },
    async fetch(url: string, options: FetchOptions = {}): Promise<FetchResult> {
      const { body, ...rest } = options;
      const { value, bytes } = await ask('fetch', [String(url), rest], body);
      const [status, headers] = value as [number, Record<string, string>];
      return { status, headers, body: bytes ?? new Uint8Array(0) };
    },
    // A package has no file that an operator could want opened again.
    onReopen() {},
  };
}

function buildLog({ instance, note }: HostParts): Logger {
  const write =
    (level: keyof Logger) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void =>
      note(['log', instance, level, String(message), fields]);
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
}

type FamilyFacts = readonly [
  kind: 'counter' | 'histogram',
  name: string,
  help: string,
  labelNames: readonly string[],
  buckets: readonly number[],
];

function buildFamily<Series>(
  { instance, note }: HostParts,
  facts: FamilyFacts,
  build: (send: (value: number) => void) => Series,
): MetricFamily<Series> {
  return { series: (...labels) => build((value) => note(['metric', instance, ...facts, labels.map(String), value])) };
}
