// Tests both ways of making load: what is sent, and how answers are counted.
// Must not measure speed.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { buildAnswerReader, generateLoad } from './socket-load.ts';
import { buildWrkScript } from './wrk.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

describe('buildAnswerReader', () => {
  it('finds two answers in one chunk', () => {
    assert.deepEqual(buildAnswerReader().read(Buffer.from(OK + OK)), [200, 200]);
  });

  it('finds an answer cut at any byte', () => {
    for (let cut = 1; cut < OK.length; cut += 1) {
      const reader = buildAnswerReader();

      const statuses = [...reader.read(Buffer.from(OK.slice(0, cut))), ...reader.read(Buffer.from(OK.slice(cut)))];

      assert.deepEqual(statuses, [200]);
    }
  });

  it('refuses an answer whose end it could not find', () => {
    assert.throws(() => buildAnswerReader().read(Buffer.from('HTTP/1.1 200 OK\r\n\r\n')), /no Content-Length/);
  });
});

describe('buildWrkScript', () => {
  it('writes out each request with its headers', () => {
    const script = buildWrkScript([{ path: '/orders/1', headers: { apikey: 'k-1' } }]);

    assert.ok(script.includes('"GET /orders/1 HTTP/1.1\\r\\nhost: orders.example.com\\r\\napikey: k-1\\r\\n\\r\\n",'));
  });
});

describe('generateLoad', () => {
  it('sends the requests round-robin and counts those that are not answered with 2xx', async () => {
    const seen = new Map<string, number>();
    const server = createServer((request, response) => {
      const path = request.url ?? '';
      seen.set(path, (seen.get(path) ?? 0) + 1);
      response.writeHead(path === '/bad' ? 503 : 200, { 'content-length': 2 }).end('ok');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    const requests = ['/good', '/bad'].map((path) => ({ path, headers: {} }));

    const result = await generateLoad({ port: address.port, connections: 2, seconds: 0.1, requests });
    server.close();
    await once(server, 'close');

    assert.ok(result.units > 0);
    assert.ok(Math.abs(result.failures - result.units / 2) <= 2, `${result.failures} of ${result.units}`);
    assert.ok(Math.abs((seen.get('/good') ?? 0) - (seen.get('/bad') ?? 0)) <= 2);
  });
});
