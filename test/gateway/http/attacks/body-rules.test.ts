// Attacks on rules about bodies: the same bytes by length, in chunks and over HTTP/2 get the same verdict, and nothing slips past.
// Must not test what a rule does: the plugin's own tests do.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import type { LoadedPlugin } from '../../../../gateway/core/pipeline.ts';
import { BUILT_IN_PLUGINS, loadPlugins } from '../../../../gateway/loader.ts';
import { readConfig } from '../../../../gateway/testing/config.ts';
import { openRaw, startGateway, type TestGateway } from '../../../support/engine.ts';
import { makeApi, makeBinding, makeRoute, putAll } from '../../../support/entities.ts';
import { ask, openSession } from '../../../support/wire/h2-client.ts';
import { type Origin, startOrigin } from '../../../support/wire/origin.ts';

const MAX_BYTES = 64;
const RULES = { remove: { body: ['admin'] }, maxBodyBytes: MAX_BYTES };
const HEAD = 'POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: application/json\r\n';

/** Gives JSON of exactly so many bytes. */
const sized = (bytes: number): string => `{"admin":1,"a":"${'x'.repeat(bytes - 18)}"}`;

const CASES: readonly (readonly [what: string, body: string | Buffer, status: number])[] = [
  ['what the rule takes off', '{"admin":true,"a":1}', 200],
  ['as much as is allowed', sized(MAX_BYTES), 200],
  ['a byte more', sized(MAX_BYTES + 1), 413],
  ['much more', sized(100_000), 413],
  ['a key twice', '{"admin":0,"admin":1}', 400],
  ['a key twice, once escaped', '{"admin":0,"\\u0061dmin":1}', 400],
  ['a key twice below', '{"a":{"b":1,"b":2}}', 400],
  ['a byte order mark', '\ufeff{"admin":1}', 400],
  ['no UTF-8', Buffer.from('{"admin":"\xff"}', 'latin1'), 400],
  ['a list', '[{"admin":1}]', 400],
  ['more behind it', '{"a":1}{"admin":1}', 400],
  ['half of it', '{"admin":1', 400],
  ['nothing', '', 200],
];

describe('a rule about bodies', () => {
  let origin: Origin;
  let gateway: TestGateway;

  before(async () => {
    origin = await startOrigin();
    const plugin = (await loadPlugins([BUILT_IN_PLUGINS])).get('request-transformer') as LoadedPlugin;
    gateway = await startGateway({ plugins: [plugin] });
    const folder = pathToFileURL(`${join(BUILT_IN_PLUGINS, 'request-transformer')}/`);
    const config = readConfig<Readonly<Record<string, unknown>>>(folder, RULES);
    const api = makeApi({ name: 'api', upstream: origin.url, routes: [makeRoute({ paths: ['/'] })] });
    await gateway.apply(putAll({ apis: [api], bindings: [makeBinding({ plugin: 'request-transformer', config })] }));
  });

  after(async () => {
    await gateway.close();
    await origin.close();
  });

  afterEach(() => {
    origin.seen.length = 0;
  });

  async function sendRaw(framing: string, body: string): Promise<number> {
    const raw = await openRaw(gateway.port);
    raw.write(`${HEAD}${framing}\r\n\r\n${body}`);
    const { text } = await raw.closed();
    return Number(text.slice(9, 12));
  }

  const WAYS: Readonly<Record<string, (body: Buffer, more: string) => Promise<number>>> = {
    'by its length': (body, more) => sendRaw(`${more}Content-Length: ${body.length}`, body.toString('latin1')),
    'in one chunk': (body, more) => sendRaw(`${more}Transfer-Encoding: chunked`, chunksOf(body, body.length)),
    'byte by byte in chunks': (body, more) => sendRaw(`${more}Transfer-Encoding: chunked`, chunksOf(body, 1)),
    async 'over HTTP/2'(body, more) {
      const session = openSession(gateway.url);
      const [name, value] = more === '' ? [] : more.trim().split(': ');
      const fields = { ':method': 'POST', 'content-type': 'application/json', ...(name && { [name]: value }) };
      const { status } = await ask(session, fields, body);
      session.close();
      return status ?? 0;
    },
  };

  for (const [way, send] of Object.entries(WAYS)) {
    for (const [what, body, status] of CASES) {
      it(`gives ${status} to ${what}, sent ${way}`, async () => {
        assert.equal(await send(Buffer.from(body), ''), status);

        assert.equal(origin.seen.length, status === 200 ? 1 : 0);
        for (const seen of origin.seen) assert.doesNotMatch(String(seen.body), /admin/);
      });
    }

    it(`refuses what it cannot read because it is packed, sent ${way}`, async () => {
      const status = await send(gzipSync('{"admin":1}'), 'content-encoding: gzip\r\n');

      assert.deepEqual([status, origin.seen.length], [400, 0]);
    });
  }
});

function chunksOf(body: Buffer, size: number): string {
  let text = '';
  for (let at = 0; at < body.length; at += size) {
    const piece = body.subarray(at, at + size);
    text += `${piece.length.toString(16)}\r\n${piece.toString('latin1')}\r\n`;
  }
  return `${text}0\r\n\r\n`;
}
