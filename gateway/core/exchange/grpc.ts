// gRPC over HTTP/2: which requests are calls, how errors are told to them, how long they may take.
// Must not read messages: bodies pass as they are.
import { ERRORS, type ErrorCode, GatewayError } from '../errors.ts';
import type { IncomingRequest } from '../ports.ts';
import type { OwnAnswer } from './exchange.ts';
import { Headers } from './headers.ts';

/** Gives the status of gRPC for each error; docs/grpc.md lists the same. @see https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
export const GRPC_STATUS: Readonly<Record<ErrorCode, number>> = {
  REQUEST_MALFORMED: 3,
  PATH_AMBIGUOUS: 3,
  HOST_INVALID: 3,
  UNAUTHENTICATED: 16,
  FORBIDDEN: 7,
  CLIENT_CERTIFICATE_REFUSED: 16,
  ROUTE_NOT_FOUND: 12,
  METHOD_NOT_ALLOWED: 12,
  REQUEST_TIMEOUT: 4,
  BODY_TOO_LARGE: 8,
  URI_TOO_LONG: 3,
  MISDIRECTED_REQUEST: 14,
  BODY_INVALID: 3,
  EXPECTATION_FAILED: 3,
  HEADERS_TOO_LARGE: 8,
  HTTP_VERSION_UNSUPPORTED: 12,
  RATE_LIMITED: 8,
  INTERNAL: 13,
  PLUGIN_FAILED: 13,
  PLUGIN_TIMEOUT: 14,
  PLUGIN_QUARANTINED: 14,
  PLUGIN_UNAVAILABLE: 14,
  UPSTREAM_CONNECT_FAILED: 14,
  UPSTREAM_BROKEN: 14,
  UPSTREAM_INVALID_RESPONSE: 13,
  UPSTREAM_TIMEOUT: 4,
  NO_HEALTHY_TARGET: 14,
  CIRCUIT_OPEN: 14,
  CANNOT_VERIFY: 14,
  NOT_CONFIGURED: 14,
};

const UNKNOWN = 2;
// Answers of plugins have a status and no code: they are told like the first error with that status.
const STATUS_BY_HTTP: ReadonlyMap<number, number> = new Map(
  Object.entries(ERRORS)
    .reverse()
    .map(([code, { status }]) => [status, GRPC_STATUS[code as ErrorCode]]),
);

/** Says whether a request is a call of gRPC, by its content type. gRPC-Web is not: it speaks HTTP/1.1 as well. */
export function isGrpc({ httpVersion, rawHeaders }: Pick<IncomingRequest, 'httpVersion' | 'rawHeaders'>): boolean {
  if (httpVersion !== '2.0') return false;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at] === 'content-type') return isGrpcType(rawHeaders[at + 1] ?? '');
  }
  return false;
}

/** Says whether a media type is gRPC's, with whatever encoding of messages. */
export function isGrpcType(type: string): boolean {
  return /^application\/grpc(?:[+;]|$)/i.test(type);
}

/** Tells an answer of our own in the way of gRPC: 200, and the status behind it. One that speaks gRPC already stays. */
export function toGrpcAnswer(answer: OwnAnswer): OwnAnswer {
  if (answer.status < 400 || answer.headers.has('grpc-status')) return answer;
  return buildAnswer(answer, STATUS_BY_HTTP.get(answer.status) ?? UNKNOWN, '');
}

/** Tells the answer to an error in the way of gRPC; its other fields, such as Retry-After, stay. */
export function toGrpcError(answer: OwnAnswer, error: GatewayError): OwnAnswer {
  return buildAnswer(answer, GRPC_STATUS[error.code], error.message);
}

function buildAnswer({ headers }: OwnAnswer, status: number, message: string): OwnAnswer {
  const fields = new Headers();
  for (const [name, value] of headers.entries()) if (!name.startsWith('content-')) fields.append(name, value);
  fields.set('content-type', 'application/grpc');
  const [, code = '', , text = ''] = listStatus(status, message);
  fields.set('grpc-status', code);
  if (text !== '') fields.set('grpc-message', text);
  return { status: 200, headers: fields, body: new Uint8Array(0) };
}

/** Gives the trailers that end a response which broke off. */
export function listErrorTrailers(error: GatewayError): readonly string[] {
  return listStatus(GRPC_STATUS[error.code], error.message);
}

function listStatus(status: number, message: string): readonly string[] {
  return ['grpc-status', String(status), 'grpc-message', encodeMessage(message)];
}

// Everything but visible ASCII and the space, and the percent sign itself, as in the protocol's Percent-Encoded.
function encodeMessage(message: string): string {
  return message.replace(/[^\x20-\x24\x26-\x7e]+/g, encodeBytes);
}

function encodeBytes(part: string): string {
  return [...Buffer.from(part)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
}

const MS_OF_UNIT: Readonly<Record<string, number>> = { n: 1e-6, u: 1e-3, m: 1, S: 1_000, M: 60_000, H: 3_600_000 };
const MAX_TIMEOUT = 99_999_999;

/**
 * Reads grpc-timeout as milliseconds.
 * @throws REQUEST_MALFORMED on anything but one to eight digits and a unit.
 */
export function readGrpcTimeout(value: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(value) ?? [];
  const unitMs = MS_OF_UNIT[unit];
  if (unitMs === undefined) throw new GatewayError('REQUEST_MALFORMED', 'expected grpc-timeout as digits and a unit');
  return Number(digits) * unitMs;
}

/** Writes milliseconds as grpc-timeout: in the smallest unit in which they have eight digits, and never as more than they are. */
export function writeGrpcTimeout(ms: number): string {
  for (const unit of ['u', 'm', 'S', 'M']) {
    const value = Math.floor(Math.max(0, ms) / (MS_OF_UNIT[unit] ?? 1));
    if (value <= MAX_TIMEOUT) return `${value}${unit}`;
  }
  return `${Math.min(MAX_TIMEOUT, Math.floor(ms / 3_600_000))}H`;
}
