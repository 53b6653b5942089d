// Remembers tokens whose signature was verified, so that a busy client pays for it once.
// Must not decide who calls: the identity is asked for anew with every request.
import { hash, type KeyObject } from 'node:crypto';
import type { Clock } from 'sallyport/plugin';
import type { Token } from './token.ts';

/** Is a token that was verified with `key`. */
export interface VerifiedToken {
  readonly token: Token;
  readonly key: KeyObject;
}

/** Remembers by SHA-256 of the token: the memory holds nothing that could be sent. */
export interface VerifiedTokens {
  find(text: string): VerifiedToken | undefined;
  add(text: string, verified: VerifiedToken): void;
}

/** A few kilobytes each. */
const MAX_TOKENS = 5_000;
/** However long a token lives, its signature is looked at again after five minutes. */
const REMEMBER_MS = 300_000;

/** Builds an empty memory; the least recently used goes first. */
export function buildVerifiedTokens(clock: Clock): VerifiedTokens {
  const entries = new Map<string, VerifiedToken & { readonly untilMs: number }>();
  return {
    find(text) {
      const id = hash('sha256', text, 'base64url');
      const entry = entries.get(id);
      if (!entry) return undefined;
      entries.delete(id);
      if (entry.untilMs <= clock.monotonicMs()) return undefined;
      entries.set(id, entry);
      return entry;
    },
    add(text, { token, key }) {
      const [oldest] = entries.keys();
      if (entries.size >= MAX_TOKENS && oldest !== undefined) entries.delete(oldest);
      entries.set(hash('sha256', text, 'base64url'), { token, key, untilMs: clock.monotonicMs() + REMEMBER_MS });
    },
  };
}
