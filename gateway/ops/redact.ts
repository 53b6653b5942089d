// What may be written to a log: fields are copied within bounds, and whatever is named like a secret is blanked.
// Must not know a sink.

const SECRET_NAME =
  /(^|[^a-z])(authorization|cookie|set-cookie|apikey|api-key|x-api-key|passwd|secret|sealed|credential|private)|password|token|secretkey|adminkey|keyhash/i;
const BLANK = '[redacted]';
/** Deep enough for an error with its causes; a bound against cycles and against fields that grow with traffic. */
const MAX_DEPTH = 6;
/** Most items of one object or list that are written. */
const MAX_ITEMS = 100;
/** Most characters of one text, so that a log line stays a line (stack traces included). */
const MAX_TEXT_LENGTH = 8_192;

/** Gives a copy of the fields that is safe and small enough to log. Errors become plain data with their causes. */
export function redactFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return copyObject(fields, 0);
}

function copyObject(source: object, depth: number): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  let items = 0;
  for (const [name, value] of Object.entries(source)) {
    if (++items > MAX_ITEMS) break;
    copy[name] = isSecret(name, value) ? BLANK : copyValue(value, depth + 1);
  }
  return copy;
}

/** A number or a claim under such a name is a count of them, not one of them. */
function isSecret(name: string, value: unknown): boolean {
  return SECRET_NAME.test(name) && typeof value !== 'boolean' && typeof value !== 'number';
}

function copyValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return copyText(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= MAX_DEPTH) return '[deeper]';
  if (value instanceof Error) return copyError(value, depth);
  if (value instanceof Date) return value.toJSON();
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map((item) => copyValue(item, depth + 1));
  return copyObject(value, depth);
}

function copyText(text: string): string {
  const short = text.length > MAX_TEXT_LENGTH ? `${text.slice(0, MAX_TEXT_LENGTH)}...` : text;
  // A connection URL in a driver's message would carry its password into the log.
  return short.includes('://') ? short.replace(/(\/\/[^\s/:@]*):[^\s/@]*@/g, `$1:${BLANK}@`) : short;
}

function copyError(error: Error, depth: number): Record<string, unknown> {
  return {
    type: error.name,
    message: copyText(error.message),
    ...('code' in error ? { code: copyValue(error.code, depth + 1) } : {}),
    ...(error.stack === undefined ? {} : { stack: copyText(error.stack) }),
    ...(error.cause === undefined ? {} : { cause: copyValue(error.cause, depth + 1) }),
  };
}
