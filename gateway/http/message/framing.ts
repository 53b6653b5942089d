// Which framing of a message is accepted: one way only, everything ambiguous refused.
// Must not rely on what was sent being sensible: readers differ in what they make of the rest.
import { splitList } from '../../core/exchange/headers.ts';
import { isNamed } from './fields.ts';
import { MalformedMessage } from './malformed.ts';

/** Is what the fields of a message say about the message itself. */
export interface MessageFacts {
  /** Bytes by Content-Length; undefined = no such field. */
  length: number | undefined;
  isChunked: boolean;
  /** Tokens of every Connection field, in lower case, each followed by a comma; empty = none. */
  connection: string;
  /** Value of Upgrade; several are joined by a comma. */
  upgrade: string | undefined;
  expect: string | undefined;
  /** Says that the sender reads trailers. RFC 9110 section 10.1.4. */
  acceptsTrailers: boolean;
  keepAlive: string | undefined;
}

/** Fewer than 2^53 has; longer ones cannot be counted. */
const MAX_LENGTH_DIGITS = 15;
const DIGIT_0 = 0x30;

/**
 * Finds in one pass what the connection has to know of a message.
 * @throws MalformedMessage on both Content-Length and Transfer-Encoding, on either repeated or malformed, and on any coding
 * but a lone `chunked`. @see RFC 9112 section 6
 */
export function readMessageFacts(fields: readonly string[]): MessageFacts {
  const facts: MessageFacts = {
    length: undefined,
    isChunked: false,
    connection: '',
    upgrade: undefined,
    expect: undefined,
    acceptsTrailers: false,
    keepAlive: undefined,
  };
  for (let at = 0; at < fields.length; at += 2) readField(facts, fields[at] ?? '', fields[at + 1] ?? '');
  if (facts.isChunked && facts.length !== undefined) {
    throw new MalformedMessage('both Content-Length and Transfer-Encoding');
  }
  return facts;
}

// By length, which tells most names apart from those that matter here: lower-casing each would be seen.
function readField(facts: MessageFacts, name: string, value: string): void {
  switch (name.length) {
    case 2:
      if (isNamed(name, 'te')) facts.acceptsTrailers ||= /(?:^|,)[ \t]*trailers[ \t]*(?:,|$)/i.test(value);
      break;
    case 6:
      // Two are no expectation that anybody can meet.
      if (isNamed(name, 'expect')) facts.expect = facts.expect === undefined ? value.toLowerCase() : 'several';
      break;
    case 7:
      if (isNamed(name, 'upgrade')) facts.upgrade = facts.upgrade === undefined ? value : `${facts.upgrade}, ${value}`;
      break;
    case 10:
      if (isNamed(name, 'connection')) readConnection(facts, value);
      else if (isNamed(name, 'keep-alive')) facts.keepAlive = value;
      break;
    case 14:
      if (isNamed(name, 'content-length')) readLength(facts, value);
      break;
    case 17:
      if (isNamed(name, 'transfer-encoding')) readTransferCoding(facts, value);
      break;
    default:
      break;
  }
}

function readLength(facts: MessageFacts, value: string): void {
  if (facts.length !== undefined) throw new MalformedMessage('more than one Content-Length');
  facts.length = parseLength(value);
}

/** Reads digits without sign, blanks or leading zeros: `010`, `+5` and `5, 5` are read in different ways. By hand: a message has one. */
function parseLength(value: string): number {
  let length = 0;
  let isPlain = value.length > 0 && value.length <= MAX_LENGTH_DIGITS && (value.length === 1 || value[0] !== '0');
  for (let at = 0; at < value.length && isPlain; at++) {
    const digit = value.charCodeAt(at) - DIGIT_0;
    isPlain = digit >= 0 && digit <= 9;
    length = 10 * length + digit;
  }
  if (!isPlain) throw new MalformedMessage('Content-Length is not a plain number');
  return length;
}

function readTransferCoding(facts: MessageFacts, value: string): void {
  if (facts.isChunked) throw new MalformedMessage('more than one Transfer-Encoding');
  if (value.toLowerCase() !== 'chunked') throw new MalformedMessage('Transfer-Encoding is not chunked');
  facts.isChunked = true;
}

function readConnection(facts: MessageFacts, value: string): void {
  // Nearly always one token.
  if (value.includes(',')) for (const token of splitList(value)) addConnectionOption(facts, token);
  else addConnectionOption(facts, value);
}

function addConnectionOption(facts: MessageFacts, token: string): void {
  facts.connection += `${token.toLowerCase()},`;
}

/** Says whether Connection names a token, given in lower case. @see RFC 9110 section 7.6.1 */
export function isConnectionOption(facts: MessageFacts, token: string): boolean {
  return facts.connection !== '' && `,${facts.connection}`.includes(`,${token},`);
}
