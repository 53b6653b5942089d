// How the text of a setting becomes a value: each parser takes the text and throws a message that says what was expected.
// Must not read the environment or know the name of a setting.
import { isIP } from 'node:net';
import { resolve } from 'node:path';

/** Is where a server listens. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Names the levels of the gateway's own log, most talkative first. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'silent'];

/** Reads `host:port` or `[ipv6]:port`. @throws Error when it is neither. */
export function parseListenAddress(text: string): ListenAddress {
  const match = /^(?:\[([^\]]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535) throw new Error('expected host:port with a port from 0 to 65535');
  if (match?.[1] !== undefined && isIP(host) !== 6) throw new Error('expected an IPv6 address between [ and ]');
  return { host, port };
}

/** Makes a parser of whole numbers within bounds. */
export function integerBetween(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= minimum && value <= maximum)) {
      throw new Error(`expected a whole number from ${minimum} to ${maximum}`);
    }
    return value;
  };
}

/** Makes a parser of URLs with one of these schemes. */
export function urlWithScheme(...schemes: readonly string[]): (text: string) => string {
  return (text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || !schemes.includes(url.protocol.slice(0, -1))) {
      throw new Error(`expected a URL that begins with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`);
    }
    return text;
  };
}

/** Reads a log level. @throws Error when there is no such level. */
export function parseLogLevel(text: string): LogLevel {
  const level = LOG_LEVELS.find((candidate) => candidate === text);
  if (level === undefined) throw new Error(`expected one of ${LOG_LEVELS.join(', ')}`);
  return level;
}

/** Reads addresses and networks parted by commas. @throws Error naming the first that is neither. */
export function parseNetworks(text: string): readonly string[] {
  const networks = parseList(text);
  const wrong = networks.find((network) => !isNetwork(network));
  if (wrong !== undefined)
    throw new Error(`expected IP addresses or networks, and ${JSON.stringify(wrong)} is neither`);
  return networks;
}

function isNetwork(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/');
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (version === 4 ? 32 : 128));
}

/** Reads a list parted by commas; blanks around an item do not count. */
function parseList(text: string): readonly string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

/** Reads host names parted by commas. @throws Error naming the first that is none. */
export function parseHosts(text: string): readonly string[] {
  const hosts = parseList(text).map((host) => host.toLowerCase());
  const wrong = hosts.find((host) => !/^(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/.test(host));
  if (wrong !== undefined) throw new Error(`expected host names, and ${JSON.stringify(wrong)} is none`);
  return hosts;
}

/** Reads folders parted by commas, relative to the current one. */
export function parseFolders(text: string): readonly string[] {
  return parseList(text).map((folder) => resolve(folder));
}

/** Checks a 32-byte key written in hex or base64url. @throws Error when it is anything else. */
export function parseKey(text: string): string {
  const isHex = /^[0-9a-f]{64}$/i.test(text);
  const isBase64Url = /^[A-Za-z0-9_-]{43}=?$/.test(text);
  if (!isHex && !isBase64Url) throw new Error('expected 32 bytes as 64 hex digits or 43 base64url characters');
  return text;
}

/** Checks a token: long enough not to be guessed, and sendable in a header. @throws Error when it is not. */
export function parseToken(text: string): string {
  if (!/^[\x21-\x7e]{16,512}$/.test(text)) throw new Error('expected 16 to 512 printable characters without blanks');
  return text;
}

/** Checks a name that is shown to people. @throws Error when it is longer than 128 characters or holds blanks. */
export function parseName(text: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$/.test(text)) {
    throw new Error('expected letters, digits, `.`, `_`, `~` or `-`, at most 128');
  }
  return text;
}
