// A request as it is kept to be run again: what holds no secret of it.
// Must not hold a body, a value of the query, or of a field that is not known to be harmless.
import type { EffectLines } from './effects.ts';

/** Is a request of an api, redacted, with what its upstream answered. */
export interface RecordedRequest {
  /** When it came, in milliseconds since the Unix epoch. */
  readonly atMs: number;
  readonly api: { readonly id: string; readonly name: string };
  readonly route: { readonly id: string; readonly name: string };
  readonly httpVersion: string;
  readonly scheme: 'http' | 'https';
  readonly method: string;
  readonly host: string;
  readonly path: string;
  /** Names alone. */
  readonly query: string;
  readonly headers: EffectLines;
  readonly hasBody: boolean;
  /** Who called; absent = nobody that the gateway knows. */
  readonly consumer?: { readonly username: string; readonly groups: readonly string[] };
  /** Absent = the upstream did not answer, or was not asked. */
  readonly answer?: { readonly status: number; readonly headers: EffectLines };
}
