// Finds the token in a request, and takes it off.
// Must not look into it.
import { type Exchange, type HeaderFields, readQuery, writeQuery } from 'sallyport/plugin';
import type { Config } from './config.ts';

/** Gives every different token that the request carries in the configured places. */
export function findTokens({ request }: Exchange, config: Config): ReadonlySet<string> {
  const tokens = new Set<string>();
  for (const name of config.headerNames) {
    for (const value of request.headers.getAll(name)) {
      const token = readHeader(name, value);
      if (token !== undefined) tokens.add(token);
    }
  }
  if (config.queryNames.length > 0) {
    for (const { name, value } of readQuery(request.query)) if (config.queryNames.includes(name)) tokens.add(value);
  }
  if (config.cookieNames.length > 0) {
    for (const pair of request.headers.getAll('cookie').flatMap((line) => line.split(';'))) {
      const { name, value } = readCookie(pair);
      if (config.cookieNames.includes(name)) tokens.add(value);
    }
  }
  return tokens;
}

/** Takes the token off wherever it may be; everything else stays byte for byte. */
export function hideTokens({ request }: Exchange, config: Config): void {
  for (const name of config.headerNames) {
    // Authorization of another scheme is not ours to take.
    if (request.headers.getAll(name).some((value) => readHeader(name, value) !== undefined)) {
      request.headers.delete(name);
    }
  }
  if (config.queryNames.length > 0 && request.query !== '') {
    request.query = writeQuery(readQuery(request.query).filter(({ name }) => !config.queryNames.includes(name)));
  }
  if (config.cookieNames.length > 0) hideCookies(request.headers, config.cookieNames);
}

/** Gives the token of a header, or undefined when the header holds something else. @see RFC 6750 section 2.1 */
function readHeader(name: string, value: string): string | undefined {
  if (/^bearer /i.test(value)) return trimBlanks(value.slice('bearer '.length));
  return name.toLowerCase() === 'authorization' ? undefined : value;
}

function hideCookies(headers: HeaderFields, names: readonly string[]): void {
  const lines = headers.getAll('cookie');
  headers.delete('cookie');
  for (const line of lines) {
    const kept = line.split(';').filter((pair) => !names.includes(readCookie(pair).name));
    if (kept.length > 0) headers.append('cookie', kept.join(';').trimStart());
  }
}

function readCookie(pair: string): { name: string; value: string } {
  const border = pair.indexOf('=');
  if (border === -1) return { name: '', value: pair };
  return { name: trimBlanks(pair.slice(0, border)), value: trimBlanks(pair.slice(border + 1)) };
}

/** Takes off what HTTP takes for blanks: `trim` would take off a dozen characters more, which others take for part of a token. */
function trimBlanks(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
