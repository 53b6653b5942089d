// Which framing of a request is accepted: one way only, everything ambiguous refused.
// Must not rely on a parser having refused it before: parsers differ, and so do their versions.

/** Is how a request body is framed, or why the request is refused. */
export type Framing =
  | { readonly ok: true; readonly length: number | undefined; readonly hasBody: boolean }
  | { readonly ok: false; readonly detail: string };

// Up to 2^53 without sign, blanks or leading zeros: `010`, `+5` and `5, 5` are read in different ways.
const CONTENT_LENGTH = /^(?:0|[1-9]\d{0,14})$/;

/** Reads the framing of a request. @see RFC 9112 section 6.3 */
export function readFraming(rawHeaders: readonly string[], httpVersion: string): Framing {
  let length: number | undefined;
  let isChunked = false;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    // Both names have lengths of their own, which spares most lines the lower-casing.
    if (name.length === 14 && name.toLowerCase() === 'content-length') {
      const value = rawHeaders[at + 1] ?? '';
      if (length !== undefined) return refused('more than one Content-Length');
      if (!CONTENT_LENGTH.test(value)) return refused('Content-Length is not a plain number');
      length = Number(value);
    } else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') {
      if (isChunked) return refused('more than one Transfer-Encoding');
      if ((rawHeaders[at + 1] ?? '').toLowerCase() !== 'chunked') return refused('Transfer-Encoding is not chunked');
      isChunked = true;
    }
  }
  if (isChunked && length !== undefined) return refused('both Content-Length and Transfer-Encoding');
  if (isChunked && httpVersion === '1.0') return refused('Transfer-Encoding in HTTP/1.0');
  return { ok: true, length: isChunked ? undefined : length, hasBody: isChunked || (length ?? 0) > 0 };
}

function refused(detail: string): Framing {
  return { ok: false, detail };
}
