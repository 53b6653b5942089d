// Reads and writes a query string piece by piece, so that what nobody touches stays byte for byte.
// Must not normalise: a signature or a cache key may depend on the spelling.

/** Is one piece of a query between `&` and `&`. */
export interface QueryPart {
  /** As it stands in the query. */
  readonly raw: string;
  /** Decoded; text that does not decode stands as it is. */
  readonly name: string;
  /** Decoded like `name`; empty without `=`. */
  readonly value: string;
}

/** Reads a query (without `?`) into its pieces. `writeQuery` of all of them is the query again. */
export function readQuery(query: string): readonly QueryPart[] {
  return query === '' ? [] : query.split('&').map(readPart);
}

/** Writes pieces as a query. */
export function writeQuery(parts: readonly QueryPart[]): string {
  return parts.map((part) => part.raw).join('&');
}

/** Builds a piece from decoded text. @throws URIError when the text holds half a surrogate pair. */
export function buildQueryPart(name: string, value: string): QueryPart {
  return { raw: `${encodeURIComponent(name)}=${encodeURIComponent(value)}`, name, value };
}

function readPart(raw: string): QueryPart {
  const border = raw.indexOf('=');
  if (border === -1) return { raw, name: decode(raw), value: '' };
  return { raw, name: decode(raw.slice(0, border)), value: decode(raw.slice(border + 1)) };
}

function decode(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  if (!spaced.includes('%')) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    return text;
  }
}
