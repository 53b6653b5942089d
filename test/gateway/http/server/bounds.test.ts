// Bounds of a request's head, each just within and just beyond, and empty lines before it, however the bytes are cut.
// Must not test the grammar: framing.test.ts does.
import assert from 'node:assert/strict';
import { RequestReader } from '../../../../gateway/http/h1/request-reader.ts';
import { openRaw, type TestGateway } from '../../../support/engine.ts';
import { createStage, type Stage } from '../../../support/proxied-api.ts';
import { startTcpOrigin } from '../../../support/wire/origin.ts';

const MAX_HEAD_BYTES = 32 * 1024;

/** Gives a head of so many bytes, the empty line at its end not counted. */
function headOf(bytes: number): string {
  const start = 'GET / HTTP/1.1\r\nHost: h\r\nX-A: ';
  return `${start}${'a'.repeat(bytes - start.length)}\r\n\r\n`;
}

describe('the head of a request', () => {
  describe('read by the byte', () => {
    function read(text: string, cuts: readonly number[]): string {
      const reader = new RequestReader();
      const bytes = Buffer.from(text, 'latin1');
      try {
        for (const [at, from] of [0, ...cuts].entries()) {
          reader.take(bytes.subarray(from, [...cuts, bytes.length][at]));
          if (reader.head) return `${reader.head.method} ${reader.head.target}`;
        }
        return 'unfinished';
      } catch (error) {
        return `${(error as Error).name}`;
      }
    }

    it('may stand behind one empty line, wherever that is cut, and behind no more', () => {
      const [one, two] = ['\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n', '\r\n\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n'];

      for (let cut = 0; cut < one.length; cut++) assert.equal(read(one, [cut]), 'GET /a', `cut at ${cut}`);
      for (let cut = 0; cut < two.length; cut++) assert.equal(read(two, [cut]), 'MalformedMessage', `cut at ${cut}`);
      assert.equal(read(two, [1, 2, 3, 4]), 'MalformedMessage');
      assert.equal(read('\rGET / HTTP/1.1\r\nHost: h\r\n\r\n', [1]), 'MalformedMessage');
    });

    it('has a bound that does not depend on where it is cut', () => {
      const [most, more] = [headOf(MAX_HEAD_BYTES), headOf(MAX_HEAD_BYTES + 1)];

      for (let fromEnd = 1; fromEnd <= 6; fromEnd++) {
        assert.equal(read(most, [most.length - fromEnd]), 'GET /', `cut ${fromEnd} before the end`);
        assert.equal(read(more, [more.length - fromEnd]), 'MalformedMessage', `cut ${fromEnd} before the end`);
      }
      assert.equal(read(most, []), 'GET /');
      assert.equal(read(more, []), 'MalformedMessage');
    });
  });

  describe('over a socket', () => {
    let stage: Stage;
    let gateway: TestGateway;

    before(async () => {
      stage = createStage();
      // Not Node's own server: its bounds are narrower.
      const origin = await stage.open(
        startTcpOrigin((socket, text) => {
          if (text.endsWith('\r\n\r\n')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
        }),
      );
      gateway = await stage.publish(origin.url);
    });

    after(() => stage.close());

    const CASES: readonly (readonly [string, string, number])[] = [
      ['32 KiB', headOf(MAX_HEAD_BYTES), 200],
      ['32 KiB and a byte', headOf(MAX_HEAD_BYTES + 1), 431],
      ['100 lines', `GET / HTTP/1.1\r\nHost: h\r\n${'a: b\r\n'.repeat(99)}\r\n`, 200],
      ['101 lines', `GET / HTTP/1.1\r\nHost: h\r\n${'a: b\r\n'.repeat(100)}\r\n`, 431],
      ['a target of 8 KiB', `GET /${'a'.repeat(8191)} HTTP/1.1\r\nHost: h\r\n\r\n`, 200],
      ['a target of 8 KiB and a byte', `GET /${'a'.repeat(8192)} HTTP/1.1\r\nHost: h\r\n\r\n`, 414],
      ['a query of 8 KiB and a byte', `GET /?${'a'.repeat(8191)} HTTP/1.1\r\nHost: h\r\n\r\n`, 414],
      ['a first line without an end', `GET /${'a'.repeat(MAX_HEAD_BYTES)}`, 414],
      ['a method of 32 letters', `${'A'.repeat(32)} / HTTP/1.1\r\nHost: h\r\n\r\n`, 200],
      ['a method of 33 letters', `${'A'.repeat(33)} / HTTP/1.1\r\nHost: h\r\n\r\n`, 400],
      [
        'a name of 256 letters beside a length',
        `GET / HTTP/1.1\r\nHost: h\r\n${'a'.repeat(256)}: 1\r\nContent-Length: 0\r\n\r\n`,
        200,
      ],
    ];
    for (const [what, bytes, status] of CASES) {
      it(`with ${what} is answered with ${status}`, async () => {
        const raw = await openRaw(gateway.port);

        raw.write(bytes);
        const text = await raw.waitFor(/^HTTP\/1\.1 [\s\S]*(?:ok|\})$/);

        assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} `));
        raw.socket.destroy();
      });
    }
  });
});
