// Makes messages: well-formed ones, and the same with something broken in them.
// Must not know what the gateway makes of them.
import type { Random } from './random.ts';

const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'HEAD', 'REPORT', 'get'] as const;
const TARGETS = [
  '/',
  '/a',
  '/a/b?c=d',
  '/a%20b',
  '/%41',
  '/a?',
  '/~x/_-.',
  '/a%2Fb',
  '/a;b',
  '/a//b',
  '/a#b',
  '*',
  'http://h/a',
  'h:80',
] as const;
const VERSIONS = [
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.0',
  'HTTP/1.2',
  'HTTP/2.0',
  'http/1.1',
  'HTTP/1.1 ',
] as const;
const FIELDS = [
  'Accept: */*',
  'X-Long: '.padEnd(300, 'v'),
  'Cookie: a=b; c=d',
  'X-Empty:',
  'X-Tabs:\t value \t',
  'x-high: \u00e9\u00ff',
  'Connection: keep-alive',
  'Connection: close, X-Hop',
  'X-Hop: 1',
  'X_Consumer_Id: evil',
  'X-Consumer-Id: evil',
  'X-Forwarded-For: 1.2.3.4',
  'TE: trailers',
  'Expect: 100-continue',
  'Upgrade: websocket',
  'Upgrade: h2c',
  'Authorization: Basic eA==',
  '__proto__: x',
] as const;
/** What may be put somewhere, or put in the place of something. */
const BREAKAGES = [
  '\r',
  '\n',
  '\0',
  ' ',
  '\t',
  ':',
  ',',
  ';',
  '\r\n',
  '\r\n\r\n',
  '\x0b',
  '\x7f',
  '\x85',
  '\xa0',
  '0',
  '+',
  '-',
  'x',
  '\r\n ',
  '%',
  '/',
  '\\',
] as const;
const LENGTHS = [
  '0',
  '5',
  '05',
  '+5',
  '-1',
  '0x5',
  '5,5',
  '5, 5',
  ' 5',
  '5 ',
  '',
  '99999999999999999999',
  '5\t',
  '4',
  '6',
] as const;
const CODINGS = [
  'chunked',
  'Chunked',
  ' chunked',
  'chunked ',
  ',chunked',
  'gzip, chunked',
  'identity',
  'chunked, identity',
  'xchunked',
  'chunked;q=1',
  '"chunked"',
] as const;
const HIDDEN = 'GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n';

/** Makes a request with whatever body it says it has, or says it has not. Every character is one byte. */
export function makeRequest(random: Random): string {
  const lines = [`${random.pick(METHODS)} ${random.pick(TARGETS)} ${random.pick(VERSIONS)}`];
  if (random.chance(0.97))
    lines.push(random.chance(0.95) ? 'Host: h' : random.pick(['Host: a@b', 'Host:', 'host: h:80', 'Host: h/x']));
  for (let count = random.below(4); count > 0; count--) lines.push(random.pick(FIELDS));
  const body = makeBody(random, lines);
  const head = `${lines.join('\r\n')}\r\n\r\n`;
  return maybeBreak(random, head + body);
}

function makeBody(random: Random, lines: string[]): string {
  const kind = random.below(10);
  if (kind < 3) return '';
  const content = random.pick(['hello', HIDDEN, '', 'x'.repeat(random.below(5_000))]);
  if (kind < 6) {
    lines.push(`Content-Length: ${random.chance(0.8) ? content.length : random.pick(LENGTHS)}`);
    if (random.chance(0.05)) lines.push(`Content-Length: ${content.length}`);
    if (random.chance(0.03)) lines.push('Transfer-Encoding: chunked');
    return content;
  }
  lines.push(`Transfer-Encoding: ${random.chance(0.85) ? 'chunked' : random.pick(CODINGS)}`);
  if (random.chance(0.05)) lines.push(`Content-Length: ${content.length}`);
  return makeChunks(random, content);
}

/** Frames content in chunks, mostly well. */
export function makeChunks(random: Random, content: string): string {
  let text = '';
  for (let at = 0; at < content.length; ) {
    const size = 1 + random.below(Math.min(content.length - at, 700));
    const digits = random.chance(0.9)
      ? size.toString(16)
      : random.pick([
          `0${size.toString(16)}`,
          size.toString(16).toUpperCase(),
          `0x${size}`,
          `${size.toString(16)} `,
          `-${size}`,
        ]);
    const extension = random.chance(0.9)
      ? ''
      : random.pick([';a=b', ';', '; a="b"', ';\t', ';a\rb', ';'.padEnd(20_000, 'e')]);
    text += `${digits}${extension}\r\n${content.slice(at, at + size)}\r\n`;
    at += size;
  }
  const trailers = random.chance(0.85)
    ? ''
    : random.pick(['X-T: 1\r\n', 'X-Consumer-Id: evil\r\n', 'bad\r\n', 'Content-Length: 3\r\n', ' folded\r\n']);
  return `${text}${random.chance(0.95) ? '0' : random.pick(['00', '', '0;x', 'g'])}\r\n${trailers}\r\n`;
}

/** Makes a response. */
export function makeResponse(random: Random): string {
  const status = random.pick([
    '200 OK',
    '204 No Content',
    '304 Not Modified',
    '404',
    '500 Oh\u00e9',
    '20 OK',
    '99 x',
    '1000 x',
    '200\tOK',
    '101 Switching Protocols',
  ]);
  const early = random.chance(0.15) ? 'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n' : '';
  const lines = [`${random.pick(['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/2', 'ICY'])} ${status}`];
  for (let count = random.below(4); count > 0; count--)
    lines.push(random.pick(['Server: x', 'Set-Cookie: a=b', 'Connection: close', 'Keep-Alive: timeout=5', 'X: y']));
  const body = makeBody(random, lines);
  return maybeBreak(random, `${early}${lines.join('\r\n')}\r\n\r\n${body}`);
}

/** Breaks half of all messages at one or two places. */
function maybeBreak(random: Random, text: string): string {
  let broken = text;
  for (let count = random.chance(0.5) ? 0 : 1 + random.below(2); count > 0; count--) {
    const at = random.below(Math.min(broken.length, 400) + 1);
    const cut = random.chance(0.5) ? 0 : 1 + random.below(2);
    broken = broken.slice(0, at) + (random.chance(0.8) ? random.pick(BREAKAGES) : '') + broken.slice(at + cut);
  }
  return broken;
}

/** Cuts text into pieces of chance sizes. */
export function cut(random: Random, text: string): readonly string[] {
  const pieces: string[] = [];
  for (let at = 0; at < text.length; ) {
    const size = random.chance(0.3) ? 1 : 1 + random.below(Math.max(1, text.length - at));
    pieces.push(text.slice(at, at + size));
    at += size;
  }
  return pieces;
}
