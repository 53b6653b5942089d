// One exchange as one line of JSON.
// Must give a line that every reader takes for one, whatever bytes a client sent: CVE-2024-45808 is what happens else.
import type { Exchange, HeaderFields } from 'sallyport/plugin';
import { buildSecretTest, REDACTED, redactQuery, redactUrl, type SecretTest } from './redact.ts';

/** Gives the line of an exchange, with its line feed. */
export type RecordWriter = (exchange: Exchange) => string;

/** Gives a field with its name and the mark before it, or nothing when the exchange does not have it. */
type FieldWriter = (exchange: Exchange) => string;

/** Makes a writer; `start` is the mark, the name and a colon. */
type FieldMaker = (start: string, isSecret: SecretTest) => FieldWriter;

/** Longest text kept, in characters: a header of 16 KiB is no reason for a line of 16 KiB. */
const MAX_TEXT_LENGTH = 2_048;

/** Visible ASCII and space that JSON leaves as it is: nearly every text there is. */
const PLAIN = /^[ !#-[\]-~]*$/;

const LINE_BREAKERS = /[\u007f-\u009f\u2028\u2029\ufeff]/g;

/** Headers that hold URLs, and with them what stands in a query. */
const URL_HEADERS: ReadonlySet<string> = new Set(['referer', 'location', 'content-location']);

const FIELDS: Readonly<Record<string, FieldMaker>> = {
  time: (start, isSecret) => remembered(({ outcome }) => outcome.startedAt, buildTimeWriter())(start, isSecret),
  id: remembered(({ id }) => id, quote),
  clientIp: remembered(({ client }) => client.ip, quote),
  scheme: remembered(({ client }) => client.scheme, quote),
  httpVersion: remembered(({ httpVersion }) => httpVersion, quote),
  method: remembered(({ request }) => request.method, quote),
  host: remembered(({ request }) => request.host, quote),
  path: remembered(({ request }) => request.path, quote),
  query: redactedField(({ request }) => request.query || undefined, redactQuery),
  userAgent: remembered(({ request }) => request.headers.get('user-agent'), quote),
  referer: redactedField(({ request }) => request.headers.get('referer'), redactUrl),
  status: remembered(({ response }) => response?.status, String),
  source: remembered(({ response }) => response?.source, quote),
  api: remembered(({ api }) => api.name, quote),
  route: remembered(({ route }) => route.name, quote),
  consumer: remembered(({ consumer }) => consumer?.username, quote),
  credential: remembered(({ credential }) => credential?.id, quote),
  requestBytes: remembered(({ outcome }) => outcome.requestBytes, String),
  responseBytes: remembered(({ outcome }) => outcome.responseBytes, String),
  totalMs: msField(({ outcome }) => outcome.totalMs),
  upstreamMs: msField(({ outcome }) => outcome.upstreamMs),
  target: remembered(({ outcome }) => outcome.target, quote),
  tries: remembered(({ outcome }) => outcome.tries, String),
  errorCode: remembered(({ outcome }) => outcome.errorCode, quote),
  isComplete: remembered(({ outcome }) => outcome.isComplete, String),
  requestHeaders: headersField(({ request }) => request.headers),
  responseHeaders: headersField(({ response }) => response?.headers),
};

/** Compiles the fields of a line. A field that an exchange does not have is left out of its line. */
export function buildRecordWriter(fields: readonly string[], redact: readonly string[]): RecordWriter {
  const isSecret = buildSecretTest(redact);
  const [writeFirst, ...writers] = fields.map((field, index) => {
    const make = FIELDS[field];
    if (!make) throw new TypeError(`there is no field ${field}`);
    return make(toOnePiece(`${index === 0 ? '{' : ','}"${field}":`), isSecret);
  });
  return (exchange) => {
    const first = writeFirst?.(exchange) ?? '';
    let line = first;
    for (const write of writers) line += write(exchange);
    return first === '' ? `{${line.slice(1)}}\n` : `${line}}\n`;
  };
}

type Reader<Value> = (exchange: Exchange) => Value | undefined;

/** Remembers what it wrote last: most of a line stands in the one before too. */
function remembered<Value extends string | number | boolean>(
  read: Reader<Value>,
  write: (value: Value) => string,
): FieldMaker {
  return (start) => {
    let last: Value | undefined;
    let written = '';
    let isOnePiece = true;
    return (exchange) => {
      const value = read(exchange);
      if (value !== last) {
        last = value;
        written = value === undefined ? '' : start + write(value);
        isOnePiece = false;
      } else if (!isOnePiece) {
        written = toOnePiece(written);
        isOnePiece = true;
      }
      return written;
    };
  };
}

/** Copies a text into one piece. V8 keeps what was added up as a tree of its parts, and walks it for every line. */
function toOnePiece(text: string): string {
  return Buffer.from(text).toString();
}

// Not remembered: what was taken out must not stay in memory either.
function redactedField(read: Reader<string>, redact: (text: string, isSecret: SecretTest) => string): FieldMaker {
  return (start, isSecret) => (exchange) => {
    const text = read(exchange);
    return text === undefined ? '' : start + quote(redact(text, isSecret));
  };
}

function msField(read: Reader<number>): FieldMaker {
  return (start) => (exchange) => {
    const ms = read(exchange);
    return ms === undefined ? '' : start + writeMs(ms);
  };
}

function headersField(read: Reader<HeaderFields>): FieldMaker {
  return (start, isSecret) => (exchange) => {
    const headers = read(exchange);
    return headers === undefined ? '' : start + writeHeaders(headers, isSecret);
  };
}

/** Writes a text as a JSON string of bounded length, without any character that some reader ends a line at. */
export function quote(text: string): string {
  const kept = text.length > MAX_TEXT_LENGTH ? `${text.slice(0, MAX_TEXT_LENGTH)}...` : text;
  if (PLAIN.test(kept)) return `"${kept}"`;
  return JSON.stringify(kept).replace(
    LINE_BREAKERS,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Remembers the second it wrote last: writing a date costs more than the rest of most lines. */
function buildTimeWriter(): (wallMs: number) => string {
  let second = Number.NaN;
  let text = '';
  return (wallMs) => {
    const ms = Math.floor(wallMs);
    if (Math.floor(ms / 1_000) !== second) {
      second = Math.floor(ms / 1_000);
      text = new Date(second * 1_000).toISOString().slice(0, -'000Z'.length);
    }
    return `"${text}${String(ms - second * 1_000).padStart(3, '0')}Z"`;
  };
}

/** Microseconds are as fine as anyone reads; `.5` for 500 of them. V8 takes long to write a number that is not whole. */
const FRACTIONS: readonly string[] = Array.from({ length: 1_000 }, (_, micros) => String(micros / 1_000).slice(1));

function writeMs(ms: number): string {
  const micros = Math.round(ms * 1_000);
  return Math.floor(micros / 1_000) + (FRACTIONS[micros % 1_000] ?? '');
}

/** Writes headers as name to value, or to the list of values when there are several lines. */
function writeHeaders(headers: HeaderFields, isSecret: SecretTest): string {
  // No prototype: `__proto__` is a legal header name.
  const values: Record<string, string[]> = Object.create(null);
  for (const [name, value] of headers.entries()) {
    const hidden = isSecret(name) ? REDACTED : URL_HEADERS.has(name) ? redactUrl(value, isSecret) : value;
    values[name] ??= [];
    values[name].push(quote(hidden));
  }
  const pairs = Object.entries(values).map(
    ([name, texts]) => `${quote(name)}:${texts.length > 1 ? `[${texts.join(',')}]` : texts[0]}`,
  );
  return `{${pairs.join(',')}}`;
}
