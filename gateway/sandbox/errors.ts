// Errors that cross the border between gateway and guest.
// Must not show a client what a guest says, unless it says it by a code of the table.
import { ERRORS, type ErrorCode, GatewayError } from '../core/errors.ts';
import { DeniedError } from './grants.ts';
import type { GuestError } from './messages.ts';

const MAX_MESSAGE_LENGTH = 1_000;
const MAX_HEADERS = 20;

/** Makes an error of what a guest says that it threw. */
export function readGuestError(value: unknown): Error {
  const { message, code, headers, isDenied } = toRecord(value);
  const text = (typeof message === 'string' ? message : 'the plugin failed').slice(0, MAX_MESSAGE_LENGTH);
  if (isDenied === true) return new DeniedError(text.replace(/^not granted: /, ''));
  if (typeof code !== 'string' || !Object.hasOwn(ERRORS, code)) return new Error(text);
  const entries = Object.entries(toRecord(headers)).slice(0, MAX_HEADERS);
  const kept = entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  return new GatewayError(code as ErrorCode, text, { headers: Object.fromEntries(kept) });
}

/** Says to a guest why its call failed. */
export function writeError(error: unknown): GuestError {
  const message = error instanceof Error ? error.message : String(error);
  return {
    message,
    isDenied: error instanceof DeniedError,
    ...(error instanceof GatewayError && { code: error.code }),
  };
}

function toRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
