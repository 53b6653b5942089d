// Reads HTTP/1.1 requests by the letter of RFC 9112, to see what the bytes behind the gateway mean to the strictest reader.
// Must not share a line with the gateway's own reader: a fault of that one must show here.

/** Is one request as the bytes say it. */
export interface StrictRequest {
  readonly method: string;
  readonly target: string;
  /** [name as sent, value] in order. */
  readonly fields: readonly (readonly [string, string])[];
  readonly body: string;
  readonly trailers: readonly (readonly [string, string])[];
}

/** Is what a run of bytes means. */
export interface StrictReading {
  readonly requests: readonly StrictRequest[];
  /** What follows the last whole request. */
  readonly rest: string;
  /** Says why the rest can never become a request; undefined = it may. */
  readonly fault: string | undefined;
}

class Fault extends Error {}

const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP\/1\.1$/;
const FIELD_LINE =
  /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*$/;

/** Reads as many whole requests as there are, from bytes as Latin-1 text. */
export function readStrictly(text: string): StrictReading {
  const requests: StrictRequest[] = [];
  let at = 0;
  try {
    for (let read = readOne(text, at); read; read = readOne(text, at)) {
      requests.push(read.request);
      at = read.end;
    }
    return { requests, rest: text.slice(at), fault: undefined };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { requests, rest: text.slice(at), fault: error.message };
  }
}

/** Gives every value of a field. */
export function valuesOf(request: StrictRequest | undefined, name: string): readonly string[] {
  return (request?.fields ?? []).filter(([one]) => one.toLowerCase() === name).map(([, value]) => value);
}

function readOne(text: string, from: number): { readonly request: StrictRequest; readonly end: number } | undefined {
  const headEnd = text.indexOf('\r\n\r\n', from);
  if (headEnd === -1) return undefined;
  const [line = '', ...lines] = text.slice(from, headEnd).split('\r\n');
  const match = REQUEST_LINE.exec(line);
  if (!match) throw new Fault(`no request line: ${JSON.stringify(line)}`);
  const fields = lines.map(readField);
  const hosts = fields.filter(([name]) => name.toLowerCase() === 'host');
  if (hosts.length !== 1) throw new Fault(`${hosts.length} Host lines`);
  const body = readBody(text, headEnd + 4, fields);
  if (!body) return undefined;
  const request = { method: match[1] ?? '', target: match[2] ?? '', fields, body: body.text, trailers: body.trailers };
  return { request, end: body.end };
}

function readField(line: string): readonly [string, string] {
  const match = FIELD_LINE.exec(line);
  if (!match) throw new Fault(`no field line: ${JSON.stringify(line)}`);
  return [match[1] ?? '', match[2] ?? ''];
}

interface Body {
  readonly text: string;
  readonly trailers: readonly (readonly [string, string])[];
  readonly end: number;
}

function readBody(text: string, from: number, fields: readonly (readonly [string, string])[]): Body | undefined {
  const framing = fields.filter(([name]) => /^(?:content-length|transfer-encoding)$/i.test(name));
  const [first] = framing;
  if (framing.length > 1) throw new Fault('more than one framing field');
  if (!first) return { text: '', trailers: [], end: from };
  const [name, value] = first;
  if (name.toLowerCase() === 'transfer-encoding') {
    if (value !== 'chunked') throw new Fault(`Transfer-Encoding: ${value}`);
    return readChunks(text, from);
  }
  if (!/^(?:0|[1-9][0-9]{0,14})$/.test(value)) throw new Fault(`Content-Length: ${value}`);
  const end = from + Number(value);
  return end > text.length ? undefined : { text: text.slice(from, end), trailers: [], end };
}

function readChunks(text: string, from: number): Body | undefined {
  let body = '';
  for (let at = from; ; ) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd === -1) return undefined;
    const line = text.slice(at, lineEnd);
    // The gateway never writes an extension.
    if (!/^[0-9a-f]{1,13}$/.test(line)) throw new Fault(`no chunk size: ${JSON.stringify(line)}`);
    const size = Number.parseInt(line, 16);
    at = lineEnd + 2;
    if (size === 0) return readTrailers(text, at, body);
    if (text.length < at + size + 2) return undefined;
    if (text.slice(at + size, at + size + 2) !== '\r\n') throw new Fault('a chunk that does not end where it says');
    body += text.slice(at, at + size);
    at += size + 2;
  }
}

function readTrailers(text: string, from: number, body: string): Body | undefined {
  const trailers: (readonly [string, string])[] = [];
  for (let at = from; ; ) {
    const end = text.indexOf('\r\n', at);
    if (end === -1) return undefined;
    if (end === at) return { text: body, trailers, end: end + 2 };
    trailers.push(readField(text.slice(at, end)));
    at = end + 2;
  }
}
