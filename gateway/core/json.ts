// Reads JSON that every reader reads alike: no duplicate key, no byte that is not UTF-8, no depth without a bound.
// Must not know what the JSON is for.

/** Deepest nesting that is read; deeper data serves only to exhaust whoever walks it by recursion. */
export const MAX_JSON_DEPTH = 64;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads JSON strictly. Two readers of one object with duplicate keys disagree on its value, which is how a checked
 * `{"role":"user","role":"admin"}` becomes something else upstream.
 *
 * @throws SyntaxError when the text is not JSON (a byte order mark is not), repeats a key or nests too deep.
 * @see RFC 8259 section 4
 */
export function readJson(input: string | Uint8Array): unknown {
  const text = typeof input === 'string' ? input : decodeUtf8(input);
  const value: unknown = JSON.parse(text);
  checkStructure(text);
  return value;
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new SyntaxError('the text is not UTF-8', { cause });
  }
}

/** Walks text that is known to be JSON: only strings and brackets matter. */
function checkStructure(text: string): void {
  // One entry per open bracket: the keys seen so far, or null in an array.
  const open: (Set<string> | null)[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === '{' || character === '[') {
      open.push(character === '{' ? new Set() : null);
      if (open.length > MAX_JSON_DEPTH) throw new SyntaxError(`the JSON nests deeper than ${MAX_JSON_DEPTH} levels`);
    } else if (character === '}' || character === ']') {
      open.pop();
    } else if (character === '"') {
      const end = endOfString(text, at);
      const keys = open.at(-1);
      if (keys && isKey(text, end)) addKey(keys, text.slice(at, end));
      at = end - 1;
    }
  }
}

function addKey(keys: Set<string>, literal: string): void {
  // "a" and "\u0061" are one key.
  const key: unknown = literal.includes('\\') ? JSON.parse(literal) : literal.slice(1, -1);
  if (typeof key !== 'string' || keys.has(key)) throw new SyntaxError('the JSON repeats a key');
  keys.add(key);
}

function isKey(text: string, end: number): boolean {
  let at = end;
  while (' \t\r\n'.includes(text[at] ?? '.')) at += 1;
  return text[at] === ':';
}

/** Gives the index after the closing quote of the string that opens at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}
