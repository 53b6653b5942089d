// Reads what reached an upstream, by a grammar of its own: expressions straight from RFC 9112, nothing of the gateway's code.
// Must not be lenient anywhere.

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const REQUEST_LINE = new RegExp(`^${TOKEN} /[\\x21-\\x7e]* HTTP/1\\.1$`);
const FIELD = new RegExp(
  `^(${TOKEN}): ([\\x21-\\x7e\\x80-\\xff](?:[\\t\\x20-\\x7e\\x80-\\xff]*[\\x21-\\x7e\\x80-\\xff])?)?$`,
);
const CHUNK = /^([0-9a-f]{1,13})\r\n/;

/** Is one request as an upstream has to read it. */
export interface ReadRequest {
  readonly line: string;
  readonly fields: readonly (readonly [string, string])[];
  readonly body: string;
}

/** Gives the requests that bytes hold, or the reason why they are none. An unfinished last request is left out. */
export function readStrictly(bytes: string): readonly ReadRequest[] | string {
  const requests: ReadRequest[] = [];
  let rest = bytes;
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n');
    if (end === -1) return requests;
    const [line = '', ...lines] = rest.slice(0, end).split('\r\n');
    if (!REQUEST_LINE.test(line)) return `no request line: ${JSON.stringify(line)}`;
    const fields = lines.map((text): readonly [string, string] | undefined => {
      const match = FIELD.exec(text);
      return match ? [(match[1] ?? '').toLowerCase(), match[2] ?? ''] : undefined;
    });
    const bad = fields.indexOf(undefined);
    if (bad !== -1) return `no field: ${JSON.stringify(lines[bad])}`;
    const known = fields.flatMap((field) => (field ? [field] : []));
    const read = readBody(rest.slice(end + 4), known);
    if (typeof read === 'string') return read;
    if (!read) return requests;
    requests.push({ line, fields: known, body: read.body });
    rest = rest.slice(end + 4 + read.length);
  }
  return requests;
}

function readBody(
  text: string,
  fields: readonly (readonly [string, string])[],
): { readonly body: string; readonly length: number } | string | undefined {
  const lengths = fields.filter(([name]) => name === 'content-length').map(([, value]) => value);
  const codings = fields.filter(([name]) => name === 'transfer-encoding').map(([, value]) => value);
  if (fields.filter(([name]) => name === 'host').length !== 1) return 'not exactly one Host';
  if (lengths.length + codings.length > 1) return 'more than one framing';
  const [length] = lengths;
  if (length !== undefined) {
    if (!/^(?:0|[1-9]\d*)$/.test(length)) return `no length: ${length}`;
    return text.length < Number(length) ? undefined : { body: text.slice(0, Number(length)), length: Number(length) };
  }
  if (codings.length === 0) return { body: '', length: 0 };
  return codings[0] === 'chunked' ? readChunks(text) : `no coding: ${codings[0]}`;
}

function readChunks(text: string): { readonly body: string; readonly length: number } | string | undefined {
  let body = '';
  let at = 0;
  for (;;) {
    const rest = text.slice(at);
    const match = CHUNK.exec(rest);
    if (!match) return /^[0-9a-f]{0,13}\r?$/.test(rest) ? undefined : `no chunk: ${JSON.stringify(rest.slice(0, 40))}`;
    const size = Number.parseInt(match[1] ?? '', 16);
    at += match[0].length;
    if (size === 0) {
      const end = text.slice(at - 2).indexOf('\r\n\r\n');
      return end === -1 ? undefined : { body, length: at + end + 2 };
    }
    if (text.length < at + size + 2) return undefined;
    if (text.slice(at + size, at + size + 2) !== '\r\n') return 'a chunk that does not end where it says';
    body += text.slice(at, at + size);
    at += size + 2;
  }
}
