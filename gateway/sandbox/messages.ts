// What gateway and guest say to each other, as data: JSON with bytes beside it. One message = one frame.
// Must not know how frames travel, nor what a hook does.
import type { HookName, Permissions } from '../core/manifest.ts';
import type { ExchangeOutcome, Host } from '../core/plugin.ts';

/** Names one side of an exchange. */
export type Side = 'request' | 'response';

/** Header lines as [lower-case name, value]. */
export type HeaderLines = readonly (readonly [string, string])[];

/** Is an exchange as a guest gets it: only what its plugin may read. */
export interface View {
  readonly id: string;
  readonly httpVersion: string;
  readonly api: { readonly id: string; readonly name: string };
  readonly route: { readonly id: string; readonly name: string };
  readonly client: object;
  readonly request: {
    readonly method: string;
    readonly host: string;
    readonly path?: string;
    readonly query?: string;
    readonly headers: HeaderLines;
    readonly hasBody: boolean;
  };
  readonly response?: { readonly status: number; readonly source: string; readonly headers: HeaderLines };
  /** Consumer and credential; absent when unknown or not granted. */
  readonly identity?: readonly [consumer: object, credential: object | undefined];
  readonly outcome?: ExchangeOutcome;
  /** Wall and monotonic milliseconds: a guest has no clock that can be trusted to be ours. */
  readonly now: readonly [wallMs: number, monotonicMs: number];
}

/** Is one thing that a guest asks to be done, in order. Numbers named `blob` index the bytes of the message. */
export type Effect =
  | readonly ['set' | 'append', Side, name: string, value: string]
  | readonly ['delete', Side, name: string]
  | readonly ['path' | 'query' | 'id', string]
  | readonly ['status', number]
  | readonly ['body', blob: number]
  | readonly ['respond', status: number, headers: Readonly<Record<string, string>>, body: string | number]
  | readonly ['identify', found: number];

/** Is one thing that a guest notes for the host of a set-up; needs no answer. */
export type Note =
  | readonly ['log', instance: number, level: string, message: string, fields: Readonly<Record<string, unknown>>]
  | readonly [
      'metric',
      instance: number,
      kind: 'counter' | 'histogram',
      name: string,
      help: string,
      labelNames: readonly string[],
      buckets: readonly number[],
      labelValues: readonly string[],
      value: number,
    ];

/** Is what a hook may throw to say something to the client. */
export interface GuestError {
  readonly message: string;
  /** Says that the plugin asked for what it was not granted. */
  readonly isDenied: boolean;
  /** Of a GatewayError. */
  readonly code?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Goes to a guest. `id` numbers what wants an answer. */
export type ToGuest =
  | readonly ['open', id: number, options: OpenOptions]
  | readonly ['setup', id: number, instance: number, config: unknown, lent: Lent]
  | readonly ['hook', id: number, instance: number, hook: HookName, exchange: number, view: View | null]
  | readonly ['chunk', id: number, instance: number, hook: HookName, exchange: number, view: View | null, last: boolean]
  | readonly ['forget', exchange: number]
  | readonly ['close', id: number, instance: number]
  | readonly ['migrate', id: number, config: unknown, fromVersion: number]
  | readonly ['answer', call: number, isGood: boolean, value: unknown]
  | readonly ['ping', id: number];

/** Is what a guest must know of its plugin. */
export interface OpenOptions {
  readonly hooks: readonly HookName[];
  readonly permissions: Permissions;
}

/** Is what a set-up is lent that is data. */
export interface Lent {
  readonly binding: Host['binding'];
  readonly secrets: Readonly<Record<string, string>>;
}

/** Is what a guest may ask of the host, and wait for. */
export type CallName = 'readBody' | 'find' | 'fetch' | 'take' | 'kvGet' | 'kvSet' | 'kvDelete';

/** Comes from a guest, and must be taken for what an attacker wrote. */
export type FromGuest =
  | readonly ['done', id: number, value: unknown, effects: readonly Effect[], notes: readonly Note[]]
  | readonly ['failed', id: number, error: GuestError, notes: readonly Note[]]
  /** `of` is the hook whose exchange it is about; 0 = none. */
  | readonly ['call', call: number, instance: number, of: number, name: CallName, args: readonly unknown[]]
  | readonly ['notes', notes: readonly Note[]]
  | readonly ['trouble', message: string]
  | readonly ['pong', id: number];

/** Is a message on its way, with its bytes. */
export interface Frame {
  readonly text: string;
  readonly blobs: readonly Uint8Array[];
}

/** Most bytes of JSON in a message of a guest: parsing holds the event loop. */
export const MAX_TEXT_BYTES: number = 256 * 1024;
/** Most bytes beside the JSON, both ways: a body that a plugin reads or writes whole. */
export const MAX_BLOB_BYTES: number = 16 * 1024 * 1024;
/** Most effects of one hook. */
export const MAX_EFFECTS = 1_000;
/** Most notes in one message. */
export const MAX_NOTES = 100;
