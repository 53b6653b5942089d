// The top-level fields of a JSON object, each value as the text it came in.
// Must not parse values: a number beyond 2^53 would come out as another one.
import { readJson } from 'sallyport/plugin';

/** Maps a field to its value as JSON text, in the order of the body. */
export type Fields = Map<string, string>;

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** Reads the fields. @throws SyntaxError when the body is not strict JSON, or no object. */
export function readFields(body: Uint8Array): Fields {
  const value = readJson(body);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new SyntaxError('not a JSON object');
  // From here on the text is known to be an object without duplicate keys, so that the walk needs no checks.
  const text = utf8.decode(body);
  const fields: Fields = new Map();
  let at = skipBlank(text, text.indexOf('{') + 1);
  while (text[at] === '"') {
    const keyEnd = endOfString(text, at);
    const start = skipBlank(text, text.indexOf(':', keyEnd) + 1);
    const end = endOfValue(text, start);
    fields.set(String(JSON.parse(text.slice(at, keyEnd))), text.slice(start, end));
    at = skipBlank(text, skipBlank(text, end) + 1);
  }
  return fields;
}

/** Writes fields as a JSON object. */
export function writeFields(fields: Fields): Uint8Array {
  return Buffer.from(`{${[...fields].map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`);
}

function skipBlank(text: string, from: number): number {
  let at = from;
  while (at < text.length && ' \t\r\n'.includes(text[at] ?? '')) at += 1;
  return at;
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

function endOfValue(text: string, start: number): number {
  let depth = 0;
  let at = start;
  for (;;) {
    const character = text[at] ?? '';
    if (character === '"') {
      at = endOfString(text, at);
    } else {
      if (depth === 0 && ',} \t\r\n'.includes(character)) return at;
      if ('{['.includes(character)) depth += 1;
      if ('}]'.includes(character)) depth -= 1;
      at += 1;
    }
    if (depth === 0 && '"}]'.includes(text[at - 1] ?? '')) return at;
  }
}
