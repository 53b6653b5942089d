// Responses of an upstream, and connections after a switch of protocols.
// Must not say what has to be refused: only what must never come of it.
import type { Socket } from 'node:net';
import { converse, type Group, openBench, probe, statusesOf } from './group.ts';
import { cut, makeResponse } from './messages.ts';

const ASK = 'GET /odd HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n';

function sendPieces(socket: Socket, pieces: readonly string[], at = 0): void {
  const piece = pieces[at];
  if (piece === undefined) socket.end();
  else if (socket.writable) socket.write(piece, 'latin1', () => setImmediate(sendPieces, socket, pieces, at + 1));
}

/** One response, whole and in pieces: the client sees the same, and the next request gets its own answer. */
export const responses: Group = {
  name: 'responses',
  async open() {
    let pieces: readonly string[] = [];
    const bench = await openBench((socket, text) => {
      if (!text.endsWith('\r\n\r\n')) return;
      const path = /[\s\S]*^\w+ (\S+) HTTP/m.exec(text)?.[1];
      if (path === '/odd') sendPieces(socket, pieces);
      else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok /probe');
    });
    return {
      async run(random) {
        const message = makeResponse(random);
        const show = (what: string): string => `${what}\nbytes: ${JSON.stringify(message)}`;
        const { port } = bench.gateway;
        pieces = [message];
        const whole = await converse(port, [ASK]);
        pieces = cut(random, message);
        const parts = await converse(port, [ASK]);

        if (whole.hangs || parts.hangs) return show('the connection hangs');
        const [a, b] = [statusesOf(whole.text), statusesOf(parts.text)];
        // What breaks late may be seen before anything is out, or after: 502, or a part and a reset.
        const isBroken = [whole, parts].some(({ hadReset, text }) => hadReset || /^HTTP\/1\.1 502 /.test(text));
        if (a !== b && !isBroken) return show(`whole: ${a}; in pieces: ${b}`);
        const bad = await probe(port);
        return bad === undefined ? undefined : show(bad);
      },
      close: () => bench.close(),
    };
  },
};

/** After a switch every byte passes as it is, both ways. */
export const upgrades: Group = {
  name: 'upgrades',
  async open() {
    const bench = await openBench((socket, text) => {
      const end = text.indexOf('\r\n\r\n') + 4;
      if (end < 4 || socket.listenerCount('tunnel') > 0) return;
      socket.on('tunnel', () => undefined);
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n', 'latin1');
      socket.write(text.slice(end), 'latin1');
      socket.removeAllListeners('data');
      socket.pipe(socket);
    });
    return {
      async run(random) {
        const bytes = Array.from({ length: random.below(4_000) }, () => String.fromCharCode(random.below(256))).join(
          '',
        );
        const end = '\0the end\0';
        const head = 'GET /up HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n';

        const { text, hangs } = await converse(bench.gateway.port, [...cut(random, head + bytes + end)], end);

        const echoed = text.slice(text.indexOf('\r\n\r\n') + 4);
        if (!hangs && echoed === bytes + end) return undefined;
        return `${hangs ? 'hangs; ' : ''}echoed ${echoed.length} of ${bytes.length + end.length} bytes\nbytes: ${JSON.stringify(bytes)}`;
      },
      close: () => bench.close(),
    };
  },
};
