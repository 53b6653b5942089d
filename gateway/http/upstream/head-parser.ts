// Reads the head of an upstream's response, strictly: what is not exactly HTTP/1.1 is no response.
// Must not read bodies: it only says how the body is framed.

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

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/;
const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const CONTENT_LENGTH = /^\d{1,15}$/;
const NO_BODY: BodyFraming = { kind: 'none' };
const CHUNKED: BodyFraming = { kind: 'chunked' };
const UNTIL_CLOSE: BodyFraming = { kind: 'until-close' };

/** Is thrown for what is no valid response; its text goes to the log, never to a client. */
export class InvalidResponse extends Error {
  override readonly name = 'InvalidResponse';
}

/**
 * Reads a head without the empty line at its end.
 * @throws InvalidResponse on any breach of the grammar, and on framing that two readers could read in different ways.
 */
export function readResponseHead(text: string, method: string): ResponseHead {
  const lines = text.split('\r\n');
  if (lines.length > MAX_HEADER_LINES + 1) throw new InvalidResponse('too many header lines');
  const match = STATUS_LINE.exec(lines[0] ?? '');
  if (!match) throw new InvalidResponse('no HTTP/1.1 status line');
  const status = Number(match[2]);
  const rawHeaders: string[] = [];
  const facts: HeaderFacts = { length: undefined, encoding: undefined, connection: '', keepAliveSeconds: undefined };
  for (let at = 1; at < lines.length; at++) readField(lines[at] ?? '', rawHeaders, facts);

  const framing = findFraming(status, method, facts);
  const isVersion11 = match[1] === '1';
  const isKeptAlive = isVersion11 && framing !== UNTIL_CLOSE && !/\bclose\b/i.test(facts.connection);
  return { status, rawHeaders, framing, isKeptAlive, keepAliveSeconds: facts.keepAliveSeconds };
}

interface HeaderFacts {
  length: string | undefined;
  encoding: string | undefined;
  connection: string;
  keepAliveSeconds: number | undefined;
}

function readField(line: string, rawHeaders: string[], facts: HeaderFacts): void {
  const colon = line.indexOf(':');
  const name = line.slice(0, colon);
  // A folded line begins with a blank and so fails as a name; so does a name with a blank before its colon.
  if (colon < 1 || !FIELD_NAME.test(name)) throw new InvalidResponse('a malformed header line');
  const value = trimBlanks(line, colon + 1);
  if (!FIELD_VALUE.test(value)) throw new InvalidResponse('a malformed header value');
  rawHeaders.push(name, value);
  // The four names that matter here have lengths of their own, which spares other lines the lower-casing.
  switch (name.length) {
    case 10:
      if (name.toLowerCase() === 'connection') facts.connection += `${value},`;
      else if (name.toLowerCase() === 'keep-alive') facts.keepAliveSeconds = readKeepAlive(value);
      break;
    case 14:
      if (name.toLowerCase() !== 'content-length') break;
      if (facts.length !== undefined) throw new InvalidResponse('more than one Content-Length');
      facts.length = value;
      break;
    case 17:
      if (name.toLowerCase() !== 'transfer-encoding') break;
      if (facts.encoding !== undefined) throw new InvalidResponse('more than one Transfer-Encoding');
      facts.encoding = value.toLowerCase();
      break;
    default:
      break;
  }
}

function trimBlanks(line: string, from: number): string {
  let start = from;
  let end = line.length;
  while (start < end && isBlank(line.charCodeAt(start))) start++;
  while (end > start && isBlank(line.charCodeAt(end - 1))) end--;
  return line.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

function readKeepAlive(value: string): number | undefined {
  const seconds = /(?:^|[,\s])timeout=(\d{1,6})/i.exec(value)?.[1];
  return seconds === undefined ? undefined : Number(seconds);
}

function findFraming(status: number, method: string, { length, encoding }: HeaderFacts): BodyFraming {
  if (encoding !== undefined && encoding !== 'chunked') throw new InvalidResponse('a transfer coding beside chunked');
  if (encoding !== undefined && length !== undefined) throw new InvalidResponse('both length and transfer coding');
  if (length !== undefined && !CONTENT_LENGTH.test(length)) throw new InvalidResponse('Content-Length is no number');
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return NO_BODY;
  if (encoding !== undefined) return CHUNKED;
  if (length === undefined) return UNTIL_CLOSE;
  return length === '0' ? NO_BODY : { kind: 'length', length: Number(length) };
}
