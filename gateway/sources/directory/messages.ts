// What a worker and the keeper of its node say to each other about credentials: plain data that survives JSON.
// Must not hold behaviour.
import type { Identity } from '../../core/plugin.ts';

/** Names a credential: its type and lookup value. */
export type CredentialName = readonly [type: string, lookup: string];

/** Comes from a worker: which credentials it wants to know. */
export interface DirectoryQuestion {
  readonly type: 'directory';
  readonly asks: readonly CredentialName[];
}

/** Comes from the keeper: answers, or what the worker must forget. They take effect in the order sent. */
export type DirectoryMessage =
  | { readonly type: 'directory'; readonly answers: readonly DirectoryAnswer[] }
  | { readonly type: 'directory'; readonly forget: Forget };

/** Answers one question; secrets in it are open, so it must never be written anywhere. */
export interface DirectoryAnswer {
  readonly name: CredentialName;
  readonly result: Identity | 'absent' | 'unavailable';
}

/** Says what is no longer true: all, or these by id. Either way no absence holds any longer. */
export type Forget =
  | { readonly isAll: true }
  | { readonly isAll: false; readonly consumers: readonly string[]; readonly credentials: readonly string[] };

/** Longest lookup value that can name a credential; what a client sends beyond that is looked up nowhere. */
export const MAX_LOOKUP_LENGTH = 1024;

/** Gives one string for a name. A type never holds a line end, so two names never share one. */
export function nameKey([type, lookup]: CredentialName): string {
  return `${type}\n${lookup}`;
}
