// Does what a guest asks for, on an exchange that is guarded. What comes in is taken for what an attacker wrote.
// Must not decide what is granted: the guard does.
import type { HeaderFields } from '../core/plugin.ts';
import type { GuardedExchange } from './guard.ts';
import { MAX_EFFECTS, type Side } from './messages.ts';

/** Says that a guest broke the rules of the conversation. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}

/** Most bytes of a header value that a guest may set; listeners of upstreams refuse much less than this in sum. */
const MAX_VALUE_LENGTH = 16_384;

/**
 * Applies effects in order. @throws DeniedError at the first that was not granted; TypeError, RangeError and GatewayError as
 * the operation itself; ProtocolError when it is none.
 */
export function applyEffects(exchange: GuardedExchange, effects: unknown, blobs: readonly Uint8Array[]): void {
  if (!Array.isArray(effects)) throw new ProtocolError('expected a list of effects');
  if (effects.length > MAX_EFFECTS) throw new ProtocolError(`more than ${MAX_EFFECTS} effects in one hook`);
  for (const effect of effects) {
    if (!Array.isArray(effect)) throw new ProtocolError('expected an effect');
    applyEffect(exchange, effect, blobs);
  }
}

function applyEffect(exchange: GuardedExchange, effect: readonly unknown[], blobs: readonly Uint8Array[]): void {
  const { request } = exchange;
  switch (effect[0]) {
    case 'set':
      findHeaders(exchange, effect[1]).set(readText(effect[2]), readText(effect[3]));
      return;
    case 'append':
      findHeaders(exchange, effect[1]).append(readText(effect[2]), readText(effect[3]));
      return;
    case 'delete':
      findHeaders(exchange, effect[1]).delete(readText(effect[2]));
      return;
    case 'path':
      request.path = readText(effect[1]);
      return;
    case 'query':
      request.query = readText(effect[1]);
      return;
    case 'id':
      exchange.id = readText(effect[1]);
      return;
    case 'status':
      setStatus(exchange, effect[1]);
      return;
    case 'body':
      request.setBody(findBlob(blobs, effect[1]));
      return;
    case 'identify':
      identify(exchange, effect[1]);
      return;
    case 'respond':
      respond(exchange, effect, blobs);
      return;
    default:
      throw new ProtocolError('an effect of no known kind');
  }
}

function findHeaders(exchange: GuardedExchange, side: unknown): HeaderFields {
  const headers = (side as Side) === 'request' ? exchange.request.headers : exchange.response?.headers;
  if (!headers) throw new TypeError('there is no response yet');
  return headers;
}

function setStatus({ response }: GuardedExchange, status: unknown): void {
  if (!response) throw new TypeError('there is no response yet');
  if (typeof status !== 'number') throw new ProtocolError('expected a status');
  response.status = status;
}

function identify(exchange: GuardedExchange, index: unknown): void {
  const identity = exchange.foundAt(Number(index));
  if (!identity) exchange.deny('say that somebody calls who was not found');
  exchange.identify(identity);
}

function respond(exchange: GuardedExchange, effect: readonly unknown[], blobs: readonly Uint8Array[]): void {
  const [, status, headers, body] = effect;
  if (typeof status !== 'number' || typeof headers !== 'object' || headers === null) {
    throw new ProtocolError('expected status, headers and body');
  }
  const entries = Object.entries(headers).map(([name, value]) => [name, readText(value)] as const);
  if (entries.length > MAX_EFFECTS) throw new ProtocolError('too many headers');
  exchange.respond(status, Object.fromEntries(entries), typeof body === 'string' ? body : findBlob(blobs, body));
}

function readText(value: unknown): string {
  if (typeof value !== 'string') throw new ProtocolError('expected text');
  if (value.length > MAX_VALUE_LENGTH) throw new RangeError('the text is too long for a header or a path');
  return value;
}

/** Gives the bytes that a message carries under an index. @throws ProtocolError when there are none. */
export function findBlob(blobs: readonly Uint8Array[], index: unknown): Uint8Array {
  const blob = typeof index === 'number' ? blobs[index] : undefined;
  if (!blob) throw new ProtocolError('expected the index of bytes that came along');
  return blob;
}
