// Reads the head of a client's request, strictly: what is not exactly HTTP/1.1 is refused.
// Must not interpret host or path: the core does.
import { GatewayError } from '../../core/errors.ts';
import { splitList } from '../../core/exchange/headers.ts';
import type { BodySource, IncomingRequest } from '../../core/ports.ts';
import type { ByteText } from '../message/byte-text.ts';
import { isLineEnd, readFields, readToken } from '../message/fields.ts';
import { isConnectionOption, type MessageFacts, readMessageFacts } from '../message/framing.ts';
import { MalformedMessage } from '../message/malformed.ts';
import type { ConnectionFacts } from './connection-options.ts';

/** Most header lines of a request. */
const MAX_HEADER_LINES = 100;
const VERSION_LENGTH = 'HTTP/1.1'.length;
const SPACE = 0x20;
/** Longest method; the longest registered one has 17 letters. */
const MAX_METHOD_LENGTH = 32;

/** Is a request head taken apart. */
export interface RequestHead {
  readonly method: string;
  readonly target: string;
  readonly version: '1.1' | '1.0';
  /** name, value, name, value ... as sent, without the blanks around values. */
  readonly rawHeaders: readonly string[];
  readonly facts: MessageFacts;
  readonly hasBody: boolean;
  /** The client keeps the connection for another request. */
  readonly isKeptAlive: boolean;
  readonly expectsContinue: boolean;
  /** Protocols to switch to; undefined = none that may be. */
  readonly upgrade: string | undefined;
}

/** Joins a head with what is known besides. */
export function toIncoming(
  { method, target, version, rawHeaders, upgrade }: RequestHead,
  body: BodySource | undefined,
  { remoteAddress, localPort, tls }: ConnectionFacts,
): IncomingRequest {
  return { method, target, httpVersion: version, rawHeaders, body, upgrade, remoteAddress, localPort, tls };
}

/**
 * Reads a head without the empty line at its end.
 * @throws GatewayError REQUEST_MALFORMED on any breach of the grammar and on ambiguous framing, HTTP_VERSION_UNSUPPORTED,
 * HEADERS_TOO_LARGE, EXPECTATION_FAILED. @see RFC 9112 sections 3 and 6
 */
export function readRequestHead(head: ByteText): RequestHead {
  const { method, target, version, end } = readRequestLine(head);
  // What follows would be the bytes of a tunnel that was never made, read as requests. CVE-2025-64763.
  if (method === 'CONNECT')
    throw new GatewayError('METHOD_NOT_ALLOWED', 'CONNECT is not supported', { headers: { allow: '' } });
  const rawHeaders: string[] = [];
  readFields(head, end + 2, MAX_HEADER_LINES, rawHeaders);
  const facts = readMessageFacts(rawHeaders);
  if (facts.isChunked && version === '1.0') throw new MalformedMessage('Transfer-Encoding in HTTP/1.0');
  const expectsContinue = readExpectation(facts.expect, version);
  const hasBody = facts.isChunked || (facts.length ?? 0) > 0;
  const upgrade = readUpgrade(facts, version);
  if (upgrade !== undefined && hasBody) throw new MalformedMessage('a request to switch protocols has a body');
  const isKeptAlive =
    !isConnectionOption(facts, 'close') && (version === '1.1' || isConnectionOption(facts, 'keep-alive'));
  return { method, target, version, rawHeaders, facts, hasBody, isKeptAlive, expectsContinue, upgrade };
}

interface RequestLine extends Pick<RequestHead, 'method' | 'target' | 'version'> {
  /** Where the line ends. */
  readonly end: number;
}

function readRequestLine(head: ByteText): RequestLine {
  const { text } = head;
  const methodEnd = findBlank(head, 0);
  const targetEnd = findBlank(head, methodEnd + 1);
  const end = targetEnd + 1 + VERSION_LENGTH;
  const method = methodEnd > MAX_METHOD_LENGTH ? undefined : readToken(head, 0, methodEnd);
  if (method === undefined || targetEnd === methodEnd + 1 || !isLineEnd(head, end)) throw notARequest();
  const target = text.slice(methodEnd + 1, targetEnd);
  const version = text.slice(targetEnd + 1, end);
  if (version === 'HTTP/1.1') return { method, target, version: '1.1', end };
  if (version === 'HTTP/1.0') return { method, target, version: '1.0', end };
  if (/^HTTP\/[02-9]\.\d$/.test(version)) throw new GatewayError('HTTP_VERSION_UNSUPPORTED', 'expected HTTP/1.1');
  throw notARequest();
}

function notARequest(): MalformedMessage {
  return new MalformedMessage('expected METHOD TARGET HTTP/1.1');
}

/** Gives where visible characters, which begin at `from`, end with a blank. */
function findBlank({ text, bytes }: ByteText, from: number): number {
  let at = from;
  while (at < text.length && isVisible(bytes[at] ?? 0)) at++;
  if (at >= text.length || bytes[at] !== SPACE) throw notARequest();
  return at;
}

function isVisible(byte: number): boolean {
  return byte > SPACE && byte < 0x7f;
}

function readExpectation(expect: string | undefined, version: string): boolean {
  // HTTP/1.0 clients cannot be told to go on, so they are not. RFC 9110 section 10.1.1.
  if (expect === undefined || version === '1.0') return false;
  if (expect === '100-continue') return true;
  throw new GatewayError('EXPECTATION_FAILED', 'the only expectation supported is 100-continue');
}

/** Gives what may be switched to. HTTP/2 is not: its offer is declined by being answered in HTTP/1.1, as RFC 9113 has it. */
function readUpgrade(facts: MessageFacts, version: string): string | undefined {
  if (facts.upgrade === undefined || version === '1.0' || !isConnectionOption(facts, 'upgrade')) return undefined;
  const offers = splitList(facts.upgrade);
  const others = offers.filter((offer) => offer !== '' && !/^(?:h2c?|http(?:\/.*)?)$/i.test(offer));
  return others.length === 0 ? undefined : others.join(', ');
}
