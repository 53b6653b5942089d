// Header and trailer lines in the form that node:http2 takes.
// Must not check what they say: the core has, and the reader of the other side.
import type { OutgoingHttpHeaders } from 'node:http2';

// Fields that node:http2 refuses to send twice, as a list in `mapToHeaders` of its source. RFC 9110 section 5.3 lets a
// sender join lines; where a field may only come once, what comes out is as wrong as what came in.
const SINGLE = new Set([
  'access-control-allow-credentials',
  'access-control-max-age',
  'access-control-request-method',
  'age',
  'authorization',
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-md5',
  'content-range',
  'content-type',
  'date',
  'dnt',
  'etag',
  'expires',
  'from',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'last-modified',
  'location',
  'max-forwards',
  'range',
  'referer',
  'retry-after',
  'tk',
  'upgrade-insecure-requests',
  'user-agent',
  'x-content-type-options',
]);

/**
 * Largest header section that is sent, as nghttp2 estimates it, which resets the stream beyond 64 KiB; 512 bytes of
 * them are for the status, the date and the length.
 */
const MAX_SENT_BYTES = 64 * 1024 - 512;
/** What nghttp2 counts for a line beside its name and value, in `nghttp2_hd_deflate_bound` of its source. */
const BYTES_PER_LINE = 12;

/** Says whether lines (name, value, name, value ...) fit into one header section. */
export function fitsSection(lines: readonly string[]): boolean {
  let bytes = (lines.length / 2) * BYTES_PER_LINE;
  for (const text of lines) bytes += text.length;
  return bytes <= MAX_SENT_BYTES;
}

/** Puts lines (name, value, name, value ...) onto `fields`: names in lower case, those that come again in a list. */
export function addFields(fields: OutgoingHttpHeaders, lines: readonly string[]): OutgoingHttpHeaders {
  for (let at = 0; at < lines.length; at += 2) {
    const name = (lines[at] ?? '').toLowerCase();
    const value = lines[at + 1] ?? '';
    const known = fields[name];
    if (known === undefined) fields[name] = value;
    else if (SINGLE.has(name)) fields[name] = `${String(known)}, ${value}`;
    else if (Array.isArray(known)) known.push(value);
    else fields[name] = [String(known), value];
  }
  return fields;
}

/** Gives an object without a prototype, so that no field name means anything but a field. */
export function newFields(): OutgoingHttpHeaders {
  return Object.create(null) as OutgoingHttpHeaders;
}
