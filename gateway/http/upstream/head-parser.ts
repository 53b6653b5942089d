// Reads the head of an upstream's response, strictly: what is not exactly HTTP/1.1 is no response.
// Must not read bodies: it only says how the body is framed.
import type { ByteText } from '../message/byte-text.ts';
import { findValueEnd, isLineEnd, readFields } from '../message/fields.ts';
import { isConnectionOption, type MessageFacts, readMessageFacts } from '../message/framing.ts';
import { MalformedMessage } from '../message/malformed.ts';

/** Most header lines of a response. */
const MAX_HEADER_LINES = 500;

/** Says where a response's body ends. @see RFC 9112 section 6.3 */
export type BodyFraming =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'until-close' };

/** Is a response head taken apart. */
export interface ResponseHead {
  readonly status: number;
  /** name, value, name, value ... as received, without the blanks around values. */
  readonly rawHeaders: readonly string[];
  readonly framing: BodyFraming;
  /** The connection may carry another request after this response. */
  readonly isKeptAlive: boolean;
  /** Seconds that the target says it keeps an idle connection. */
  readonly keepAliveSeconds: number | undefined;
}

const STATUS_AT = 'HTTP/1.1 '.length;
const REASON_AT = 'HTTP/1.1 200'.length;
const DIGIT_0 = 0x30;
const SPACE = 0x20;
const NO_BODY: BodyFraming = { kind: 'none' };
const CHUNKED: BodyFraming = { kind: 'chunked' };
const UNTIL_CLOSE: BodyFraming = { kind: 'until-close' };

/**
 * Reads a head without the empty line at its end.
 * @throws MalformedMessage on any breach of the grammar, and on framing that two readers could read in different ways.
 */
export function readResponseHead(head: ByteText, method: string): ResponseHead {
  const { status, isVersion11, end } = readStatusLine(head);
  const rawHeaders: string[] = [];
  readFields(head, end + 2, MAX_HEADER_LINES, rawHeaders);
  const facts = readMessageFacts(rawHeaders);

  const framing = findFraming(status, method, facts);
  // RFC 9112 section 6.1: such framing is faulty. Who speaks HTTP/1.0 may have passed on what it did not understand.
  if (!isVersion11 && facts.isChunked) throw new MalformedMessage('a transfer coding in HTTP/1.0');
  const isKeptAlive = isVersion11 && framing !== UNTIL_CLOSE && !isConnectionOption(facts, 'close');
  return { status, rawHeaders, framing, isKeptAlive, keepAliveSeconds: readKeepAlive(facts.keepAlive) };
}

interface StatusLine {
  readonly status: number;
  readonly isVersion11: boolean;
  /** Where the line ends. */
  readonly end: number;
}

/** Reads the first line, by hand: this runs for every response. */
function readStatusLine(head: ByteText): StatusLine {
  const { text, bytes } = head;
  const isVersion11 = text.startsWith('HTTP/1.1 ');
  if (!isVersion11 && !text.startsWith('HTTP/1.0 ')) throw notAResponse();
  const status = 100 * digitAt(bytes, STATUS_AT) + 10 * digitAt(bytes, STATUS_AT + 1) + digitAt(bytes, STATUS_AT + 2);
  // A reason is not read by anybody, but must not hold what ends a line.
  const end = findValueEnd(head, REASON_AT);
  const isReason = end === REASON_AT || bytes[REASON_AT] === SPACE;
  if (status < 100 || !isReason || !isLineEnd(head, end)) throw notAResponse();
  return { status, isVersion11, end };
}

function digitAt(bytes: Uint8Array, at: number): number {
  const digit = (bytes[at] ?? 0) - DIGIT_0;
  if (digit >= 0 && digit <= 9) return digit;
  throw notAResponse();
}

function notAResponse(): MalformedMessage {
  return new MalformedMessage('no HTTP/1.1 status line');
}

function readKeepAlive(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const seconds = /(?:^|[,\s])timeout=(\d{1,6})/i.exec(value)?.[1];
  return seconds === undefined ? undefined : Number(seconds);
}

function findFraming(status: number, method: string, { length, isChunked }: MessageFacts): BodyFraming {
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return NO_BODY;
  if (isChunked) return CHUNKED;
  if (length === undefined) return UNTIL_CLOSE;
  return length === 0 ? NO_BODY : { kind: 'length', length };
}
