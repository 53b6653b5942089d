// Tells the client its budget: RateLimit and RateLimit-Policy, and the older three headers that tools still read.
// Must not decide anything.
import type { Exchange, LimitVerdict } from 'sallyport/plugin';

/** Is a limit with the texts that never change. */
export interface LimitText {
  readonly name: string;
  readonly requests: string;
  readonly windowSeconds: number;
}

/** Remembers the least that any binding of this plugin had left for the request: the older headers hold one limit. */
const LEAST = 'rate-limiting.least';

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
  verdict: LimitVerdict,
  { texts, policy }: { readonly texts: readonly LimitText[]; readonly policy: string },
): void {
  const text = texts[verdict.window];
  if (!exchange.response || !text) return;
  const { headers } = exchange.response;
  const resetSeconds = String(Math.max(1, Math.ceil(verdict.resetMs / 1_000)));
  const limit = `${text.name};r=${verdict.remaining};t=${resetSeconds}`;

  const least = exchange.state.get(LEAST);
  if (typeof least === 'number') {
    headers.append('RateLimit-Policy', policy);
    headers.append('RateLimit', limit);
    if (least <= verdict.remaining) return;
  } else {
    headers.set('RateLimit-Policy', policy);
    headers.set('RateLimit', limit);
  }
  exchange.state.set(LEAST, verdict.remaining);
  headers.set('RateLimit-Limit', text.requests);
  headers.set('RateLimit-Remaining', String(verdict.remaining));
  headers.set('RateLimit-Reset', resetSeconds);
  if (!verdict.isAllowed) headers.set('Retry-After', resetSeconds);
}
