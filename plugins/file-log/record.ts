// One exchange as one line of JSON.
// Must give a line that every reader takes for one, whatever bytes a client sent: CVE-2024-45808 is what happens else.
import type { Exchange, HeaderFields } from 'sallyport/plugin';
import { buildSecretTest, REDACTED, redactQuery, redactUrl, type SecretTest } from './redact.ts';

/** Gives the line of an exchange, with its line feed. */
export type RecordWriter = (exchange: Exchange) => string;

type FieldWriter = (exchange: Exchange, isSecret: SecretTest) => string | undefined;

/** Longest text kept, in characters: a header of 16 KiB is no reason for a line of 16 KiB. */
const MAX_TEXT_LENGTH = 2_048;

/** Visible ASCII and space that JSON leaves as it is: nearly every text there is. */
const PLAIN = /^[ !#-[\]-~]*$/;

const LINE_BREAKERS = /[\u007f-\u009f\u2028\u2029\ufeff]/g;

/** Headers that hold URLs, and with them what stands in a query. */
const URL_HEADERS: ReadonlySet<string> = new Set(['referer', 'location', 'content-location']);

const FIELDS: Readonly<Record<string, FieldWriter>> = {
  id: ({ id }) => quote(id),
  clientIp: ({ client }) => quote(client.ip),
  scheme: ({ client }) => quote(client.scheme),
  httpVersion: ({ httpVersion }) => quote(httpVersion),
  method: ({ request }) => quote(request.method),
  host: ({ request }) => quote(request.host),
  path: ({ request }) => quote(request.path),
  query: ({ request }, isSecret) => (request.query === '' ? undefined : quote(redactQuery(request.query, isSecret))),
  userAgent: ({ request }) => quoteKnown(request.headers.get('user-agent')),
  referer: ({ request }, isSecret) => {
    const referer = request.headers.get('referer');
    return referer === undefined ? undefined : quote(redactUrl(referer, isSecret));
  },
  status: ({ response }) => response && String(response.status),
  source: ({ response }) => response && quote(response.source),
  api: ({ api }) => quote(api.name),
  route: ({ route }) => quote(route.name),
  consumer: ({ consumer }) => quoteKnown(consumer?.username),
  credential: ({ credential }) => quoteKnown(credential?.id),
  requestBytes: ({ outcome }) => String(outcome.requestBytes),
  responseBytes: ({ outcome }) => String(outcome.responseBytes),
  totalMs: ({ outcome }) => writeMs(outcome.totalMs),
  upstreamMs: ({ outcome }) => (outcome.upstreamMs === undefined ? undefined : writeMs(outcome.upstreamMs)),
  target: ({ outcome }) => quoteKnown(outcome.target),
  tries: ({ outcome }) => String(outcome.tries),
  errorCode: ({ outcome }) => quoteKnown(outcome.errorCode),
  isComplete: ({ outcome }) => String(outcome.isComplete),
  requestHeaders: ({ request }, isSecret) => writeHeaders(request.headers, isSecret),
  responseHeaders: ({ response }, isSecret) => response && writeHeaders(response.headers, isSecret),
};

/** Compiles the fields of a line. A field that an exchange does not have is left out of its line. */
export function buildRecordWriter(fields: readonly string[], redact: readonly string[]): RecordWriter {
  const isSecret = buildSecretTest(redact);
  const ownFields: Readonly<Record<string, FieldWriter>> = { ...FIELDS, time: buildTimeWriter() };
  const writers = fields.map((field) => {
    const write = ownFields[field];
    if (!write) throw new TypeError(`there is no field ${field}`);
    return { name: `"${field}":`, write };
  });
  return (exchange) => {
    let line = '{';
    for (const { name, write } of writers) {
      const value = write(exchange, isSecret);
      if (value === undefined) continue;
      line += line.length > 1 ? `,${name}${value}` : name + value;
    }
    return `${line}}\n`;
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

function quoteKnown(text: string | undefined): string | undefined {
  return text === undefined ? undefined : quote(text);
}

/** Remembers the second it wrote last: writing a date costs more than the rest of most lines. */
function buildTimeWriter(): FieldWriter {
  let second = Number.NaN;
  let text = '';
  return ({ outcome }) => {
    const ms = Math.floor(outcome.startedAt);
    if (Math.floor(ms / 1_000) !== second) {
      second = Math.floor(ms / 1_000);
      text = new Date(second * 1_000).toISOString().slice(0, -'000Z'.length);
    }
    return `"${text}${String(ms - second * 1_000).padStart(3, '0')}Z"`;
  };
}

/** Microseconds are as fine as anyone reads. */
function writeMs(ms: number): string {
  return String(Math.round(ms * 1_000) / 1_000);
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
