// Tells the client its budget: RateLimit and RateLimit-Policy, and the older three headers that tools still read.
// Must not decide anything.
import type { Exchange } from 'sallyport/plugin';
import { findLeastTold, type Note } from './notes.ts';

/** Is a limit with the texts that never change. */
export interface LimitText {
  readonly name: string;
  readonly requests: string;
  readonly windowSeconds: number;
}

/** Names each limit, after the binding's own name if it has one, so that two bindings do not speak of the same. */
export function listTexts(
  limits: readonly { readonly requests: number; readonly windowSeconds: number }[],
  bindingName: string | undefined,
): LimitText[] {
  const prefix = bindingName === undefined ? '' : `${bindingName}-`;
  return limits.map(({ requests, windowSeconds }) => ({
    name: `"${prefix}${requests}-per-${windowSeconds}s"`,
    requests: String(requests),
    windowSeconds,
  }));
}

/** Writes the RateLimit-Policy of all limits. @see draft-ietf-httpapi-ratelimit-headers section 3 */
export function writePolicy(texts: readonly LimitText[]): string {
  return texts.map(({ name, requests, windowSeconds }) => `${name};q=${requests};w=${windowSeconds}`).join(', ');
}

/** Marks the response with what the verdict leaves. Several bindings add up; what the upstream says of itself gives way. */
export function markResponse(
  exchange: Exchange,
  note: Note,
  { texts, policy }: { readonly texts: readonly LimitText[]; readonly policy: string },
): void {
  const { verdict } = note;
  const text = texts[verdict.window];
  if (!exchange.response || !text) return;
  const { headers } = exchange.response;
  const resetSeconds = String(Math.max(1, Math.ceil(verdict.resetMs / 1_000)));
  const limit = `${text.name};r=${verdict.remaining};t=${resetSeconds}`;

  const least = findLeastTold(exchange);
  note.isTold = true;
  if (least !== undefined) {
    headers.append('RateLimit-Policy', policy);
    headers.append('RateLimit', limit);
    // The older headers hold one limit.
    if (least <= verdict.remaining) return;
  } else {
    headers.set('RateLimit-Policy', policy);
    headers.set('RateLimit', limit);
  }
  headers.set('RateLimit-Limit', text.requests);
  headers.set('RateLimit-Remaining', String(verdict.remaining));
  headers.set('RateLimit-Reset', resetSeconds);
  if (!verdict.isAllowed) headers.set('Retry-After', resetSeconds);
}
