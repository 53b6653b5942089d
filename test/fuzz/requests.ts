// Requests through the whole gateway: whole, in pieces, and one behind the other.
// Must not say what has to be refused: only what must never come of it.
import { type Bench, converse, type Group, openBench, probe, statusesOf } from './group.ts';
import { cut, makeRequest } from './messages.ts';
import { readStrictly } from './strict-reader.ts';

const PROBE = 'GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n';
const FORGED = /^x[-_]consumer[-_]/;

/** Answers each whole request with its path. */
export function openEcho(): Promise<Bench> {
  const answered = new WeakMap<object, number>();
  return openBench((socket, text) => {
    const read = readStrictly(text);
    const requests = typeof read === 'string' ? [] : read;
    for (const { line } of requests.slice(answered.get(socket) ?? 0)) {
      const [method, path = ''] = line.split(' ');
      const body = `ok ${path}`;
      socket.write(
        `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${method === 'HEAD' ? '' : body}`,
        'latin1',
      );
    }
    answered.set(socket, requests.length);
  });
}

/** Reads what the origin got since `from`; gives what is wrong with it. */
export function judgeOrigin(bench: Bench, from: readonly number[]): string | undefined {
  for (const [index, text] of bench.origin.texts().entries()) {
    const fresh = text.slice(from[index] ?? 0);
    const read = readStrictly(fresh);
    if (typeof read === 'string') return `the upstream got ${read}`;
    const forged = read.flatMap(({ fields }) => fields).find(([name, value]) => FORGED.test(name) && value === 'evil');
    if (forged) return `the upstream got ${forged.join(': ')}`;
  }
  return undefined;
}

/** One message, whole and in pieces: both come to the same, and nothing bad reaches the upstream. */
export const requests: Group = {
  name: 'requests',
  async open() {
    const bench = await openEcho();
    return {
      async run(random) {
        const message = makeRequest(random) + PROBE;
        const show = (what: string): string => `${what}\nbytes: ${JSON.stringify(message)}`;
        const from = bench.origin.texts().map((text) => text.length);
        const { port } = bench.gateway;

        const whole = await converse(port, [message]);
        const pieces = await converse(port, cut(random, message));

        if (whole.hangs || pieces.hangs) return show('the connection hangs');
        // What is refused early may meet bytes still to come: the answer can be lost to a reset then.
        const [a, b] = [statusesOf(whole.text), statusesOf(pieces.text)];
        if (a !== b && !pieces.hadReset && !whole.hadReset) return show(`whole: ${a}; in pieces: ${b}`);
        const bad = judgeOrigin(bench, from) ?? (await probe(port));
        return bad === undefined ? undefined : show(bad);
      },
      close: () => bench.close(),
    };
  },
};

/** Many well-formed requests at once: each gets its own answer, in order. */
export const pipelining: Group = {
  name: 'pipelining',
  async open() {
    const bench = await openEcho();
    return {
      async run(random) {
        const paths = Array.from({ length: 2 + random.below(20) }, () => `/${random.below(1e9)}`);
        const message = paths
          .map((path, at) => {
            const close = at === paths.length - 1 ? 'Connection: close\r\n' : '';
            const body = 'b'.repeat(random.below(3_000));
            if (random.chance(0.4)) return `GET ${path} HTTP/1.1\r\nHost: h\r\n${close}\r\n`;
            if (random.chance(0.5))
              return `POST ${path} HTTP/1.1\r\nHost: h\r\n${close}Content-Length: ${body.length}\r\n\r\n${body}`;
            const chunk = body === '' ? '' : `${body.length.toString(16)}\r\n${body}\r\n`;
            return `PUT ${path} HTTP/1.1\r\nHost: h\r\n${close}Transfer-Encoding: chunked\r\n\r\n${chunk}0\r\n\r\n`;
          })
          .join('');

        const { text, hangs } = await converse(bench.gateway.port, cut(random, message));

        const answered = [...text.matchAll(/\r\n\r\nok (\/\d+)/g)].map(([, path]) => path);
        if (!hangs && answered.join() === paths.join()) return undefined;
        return `${hangs ? 'hangs; ' : ''}asked ${paths.join()}, answered ${answered.join()}\nbytes: ${JSON.stringify(message)}`;
      },
      close: () => bench.close(),
    };
  },
};
