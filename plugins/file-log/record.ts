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
  time: timeField,
  id: textField(({ id }) => id),
  clientIp: textField(({ client }) => client.ip),
  scheme: textField(({ client }) => client.scheme),
  httpVersion: textField(({ httpVersion }) => httpVersion),
  method: textField(({ request }) => request.method),
  host: textField(({ request }) => request.host),
  path: textField(({ request }) => request.path),
  query: redactedField(({ request }) => request.query || undefined, redactQuery),
  userAgent: textField(({ request }) => request.headers.get('user-agent')),
  referer: redactedField(({ request }) => request.headers.get('referer'), redactUrl),
  status: valueField(({ response }) => response?.status),
  source: textField(({ response }) => response?.source),
  api: textField(({ api }) => api.name),
  route: textField(({ route }) => route.name),
  consumer: textField(({ consumer }) => consumer?.username),
  credential: textField(({ credential }) => credential?.id),
  requestBytes: valueField(({ outcome }) => outcome.requestBytes),
  responseBytes: valueField(({ outcome }) => outcome.responseBytes),
  totalMs: msField(({ outcome }) => outcome.totalMs),
  upstreamMs: msField(({ outcome }) => outcome.upstreamMs),
  target: textField(({ outcome }) => outcome.target),
  tries: valueField(({ outcome }) => outcome.tries),
  errorCode: textField(({ outcome }) => outcome.errorCode),
  isComplete: valueField(({ outcome }) => outcome.isComplete),
  requestHeaders: headersField(({ request }) => request.headers),
  responseHeaders: headersField(({ response }) => response?.headers),
};

/** Compiles the fields of a line. A field that an exchange does not have is left out of its line. */
export function buildRecordWriter(fields: readonly string[], redact: readonly string[]): RecordWriter {
  const isSecret = buildSecretTest(redact);
  const [writeFirst, ...writers] = fields.map((field, index) => {
    const make = FIELDS[field];
    if (!make) throw new TypeError(`there is no field ${field}`);
    return make(`${index === 0 ? '{' : ','}"${field}":`, isSecret);
  });
  return (exchange) => {
    const first = writeFirst?.(exchange) ?? '';
    let line = first;
    for (const write of writers) line += write(exchange);
    return first === '' ? `{${line.slice(1)}}\n` : `${line}}\n`;
  };
}

type Reader<Value> = (exchange: Exchange) => Value | undefined;

/**
 * Remembers what it wrote last. Most texts of a line stand in the one before too, and the fewer pieces a line is put
 * together from, the less it costs.
 */
function textField(read: Reader<string>): FieldMaker {
  return (start) => {
    let last: string | undefined;
    let written = '';
    return (exchange) => {
      const text = read(exchange);
      if (text !== last) {
        last = text;
        written = text === undefined ? '' : start + quote(text);
      }
      return written;
    };
  };
}

// Not remembered: what was taken out must not stay in memory either.
function redactedField(read: Reader<string>, redact: (text: string, isSecret: SecretTest) => string): FieldMaker {
  return (start, isSecret) => (exchange) => {
    const text = read(exchange);
    return text === undefined ? '' : start + quote(redact(text, isSecret));
  };
}

function valueField(read: Reader<number | boolean>): FieldMaker {
  return (start) => (exchange) => {
    const value = read(exchange);
    return value === undefined ? '' : start + value;
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

/** Remembers the millisecond it wrote last: writing a date costs more than the rest of most lines. */
function timeField(start: string): FieldWriter {
  let lastMs = Number.NaN;
  let written = '';
  return ({ outcome }) => {
    const ms = Math.floor(outcome.startedAt);
    if (ms !== lastMs) {
      lastMs = ms;
      written = `${start}"${new Date(ms).toISOString()}"`;
    }
    return written;
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
