// Attacks by header fields: pretending, injecting, naming what is ours in Connection, repeating what counts once.
// Must not test what plugins make of fields: each plugin's own tests do.
import assert from 'node:assert/strict';
import { makePlugin } from '../../../support/engine.ts';
import { makeConsumer } from '../../../support/entities.ts';
import { type Arena, openArena } from '../../../support/wire/arena.ts';
import { type StrictRequest, valuesOf } from '../../../support/wire/strict-reader.ts';

const CONSUMER = makeConsumer({ username: 'ann', groups: ['a', 'b'], customId: 'line\r\nend' });
const IDENTITY = [
  'x-consumer-id',
  'x-consumer-username',
  'x-consumer-custom-id',
  'x-consumer-groups',
  'x-credential-id',
];
const PRETENCES = [
  ...IDENTITY,
  ...[
    'x-consumer-anything',
    'x-credential-anything',
    'x-anonymous-consumer',
    'x-authenticated-userid',
    'x-authenticated-groups',
    'x-userinfo',
  ],
  ...[
    'x-forwarded-for',
    'x-forwarded-proto',
    'x-forwarded-host',
    'x-forwarded-port',
    'x-forwarded-prefix',
    'x-forwarded-server',
  ],
  ...[
    'x-forwarded-uri',
    'x-forwarded-method',
    'x-forwarded-anything',
    'forwarded',
    'x-forwarded',
    'x-real-ip',
    'true-client-ip',
  ],
  ...[
    'x-client-ip',
    'x-cluster-client-ip',
    'x-original-forwarded-for',
    'x-original-url',
    'x-rewrite-url',
    'x-request-id',
    'proxy',
  ],
  ...['client-cert', 'client-cert-chain', 'x-client-cert', 'x-client-cert-fingerprint'],
];

/** Gives a name as clients may spell it. */
function spell(name: string): readonly string[] {
  const odd = [...name].map((char, at) => (at % 2 === 0 ? char.toUpperCase() : char)).join('');
  return [...new Set([name, name.toUpperCase(), odd, name.replaceAll('-', '_'), name.replace('-', '_').toUpperCase()])];
}

/** Gives every name and value that holds the mark. */
function marked(request: StrictRequest | undefined, mark: string): readonly string[] {
  return (request?.fields ?? []).filter(([, value]) => value.includes(mark)).map(([name]) => name);
}

describe('header fields', () => {
  let arena: Arena;
  let trusting: Arena;

  before(async () => {
    const identify = makePlugin('identify', {
      onRequest(exchange) {
        if (exchange.request.path !== '/known') return;
        exchange.identify({ consumer: CONSUMER, credential: { id: 'c1', type: 'key-auth' } as never });
      },
    });
    const inject = makePlugin('inject', {
      onRequest(exchange) {
        const { headers, query, path } = exchange.request;
        if (path === '/inject') {
          const [name = '', value = ''] = query.split('&').map(decodeURIComponent);
          headers.set(name, value);
        }
        if (path === '/append') headers.append('x-a', decodeURIComponent(query));
        if (path === '/id') exchange.id = decodeURIComponent(query);
        if (path === '/respond') exchange.respond(200, { 'x-a': decodeURIComponent(query) }, 'body');
      },
    });
    arena = await openArena({ plugins: [identify, inject] });
    trusting = await openArena({ trustedProxies: ['127.0.0.1'] });
  });

  after(async () => {
    await arena.close();
    await trusting.close();
  });

  const get = (lines: readonly string[], target = '/x'): string =>
    `GET ${target} HTTP/1.1\r\nHost: h\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;

  for (const name of PRETENCES) {
    it(`lets nobody pretend by ${name}, however it is spelt`, async () => {
      const lines = spell(name).flatMap((one) => [`${one}: evil`, `${one}: evil, evil`]);

      for (const where of [arena, trusting]) {
        const { requests, statuses } = await where.attack(get(lines));

        assert.equal(statuses[0], 200);
        // A trusted proxy may speak for others in three fields; none of them takes this for an address or a scheme.
        const believed = where === trusting && name === 'x-forwarded-host' ? ['X-Forwarded-Host'] : [];
        assert.deepEqual(marked(requests[0], 'evil'), believed);
      }
    });
  }

  it('tells who calls by one value of each field, ours, whatever the client sent', async () => {
    const { requests } = await arena.attack(
      get(
        IDENTITY.flatMap(spell).map((name) => `${name}: evil`),
        '/known',
      ),
    );

    const sent = Object.fromEntries(IDENTITY.map((name) => [name, valuesOf(requests[0], name)]));
    assert.deepEqual(sent, {
      'x-consumer-id': [CONSUMER.id],
      'x-consumer-username': ['ann'],
      'x-consumer-custom-id': ['line%0D%0Aend'],
      'x-consumer-groups': ['a, b'],
      'x-credential-id': ['c1'],
    });
  });

  for (const tokens of [
    'close, X-Consumer-Id, X-Forwarded-For, Authorization, Content-Length, Host',
    'keep-alive, x-consumer-id, x-forwarded-for, x-real-ip, via, x-request-id, host, transfer-encoding',
    'X-CONSUMER-USERNAME,X-Credential-Id,\tx-forwarded-proto ,,',
  ]) {
    it(`strips what Connection names from the client's fields, not from ours (${tokens.slice(0, 20)}...)`, async () => {
      const body = 'GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n';
      const head = `POST /known HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\nX-Consumer-Id: evil\r\nAuthorization: evil\r\nConnection: ${tokens}\r\n\r\n`;

      const { requests, statuses } = await arena.attack(head + body);

      assert.equal(statuses[0], 200);
      const [request] = requests;
      assert.equal(request?.body, body);
      for (const name of [
        'host',
        'x-forwarded-for',
        'x-forwarded-proto',
        'x-real-ip',
        'x-request-id',
        'via',
        ...IDENTITY,
      ])
        assert.equal(valuesOf(request, name).length, 1, name);
      assert.deepEqual(marked(request, 'evil'), tokens.includes('Authorization') ? [] : ['Authorization']);
    });
  }

  const INJECTIONS = ['a\r\nX-Evil: 1', 'a\nX-Evil: 1', 'a\rX-Evil: 1', 'a\u0000b', 'a\u010ab', 'a\u560db', 'a\u007fb'];
  for (const value of INJECTIONS) {
    it(`answers 500 when a plugin puts ${JSON.stringify(value)} into a field, and writes none of it`, async () => {
      const encoded = encodeURIComponent(value);

      for (const target of [`/inject?x-a&${encoded}`, `/append?${encoded}`, `/id?${encoded}`, `/respond?${encoded}`]) {
        const { statuses, bytes, text } = await arena.attack(get([], target));

        assert.equal(statuses[0], 500, target);
        assert.equal(bytes, '');
        assert.doesNotMatch(text, /x-evil/i);
      }
    });
  }

  for (const name of ['', 'x y', 'x:', 'x\r\ny', 'x\u0000', '\u0131x']) {
    it(`answers 500 when a plugin names a field ${JSON.stringify(name)}`, async () => {
      const { statuses, bytes } = await arena.attack(get([], `/inject?${encodeURIComponent(name)}&a`));

      assert.equal(statuses[0], 500);
      assert.equal(bytes, '');
    });
  }

  it('leaves framing to the gateway, whatever a plugin sets', async () => {
    for (const name of ['Content-Length', 'transfer-encoding', 'Connection', 'Upgrade', 'TE', 'Expect', 'Keep-Alive']) {
      const { requests, statuses } = await arena.attack(get([], `/inject?${name}&5`));

      assert.deepEqual(statuses, [200, 200]);
      assert.deepEqual(valuesOf(requests[0], name.toLowerCase()), []);
    }
  });

  it('passes bytes above 127 in values on as they are', async () => {
    const value = Array.from({ length: 128 }, (_, at) => String.fromCharCode(128 + at)).join('');

    const { requests } = await arena.attack(get([`X-A: ${value}`, 'X-B: \u0085a\u00a0']));

    assert.deepEqual(valuesOf(requests[0], 'x-a'), [value]);
    assert.deepEqual(valuesOf(requests[0], 'x-b'), ['\u0085a\u00a0']);
  });

  it('keeps repeated fields apart, in order', async () => {
    const { requests } = await arena.attack(get(['X-A: 1', 'Cookie: a=1', 'x-a: 2, 3', 'Cookie: b=2', 'X-A:']));

    assert.deepEqual(valuesOf(requests[0], 'x-a'), ['1', '2, 3', '']);
    assert.deepEqual(valuesOf(requests[0], 'cookie'), ['a=1', 'b=2']);
  });

  it('believes a trusted proxy about address, scheme and host, and passes nothing else of it on', async () => {
    const { requests } = await trusting.attack(
      get([
        'X-Forwarded-For: 203.0.113.9',
        'X-Forwarded-Proto: https',
        'X-Forwarded-Host: shop.example',
        'X-Forwarded-Port: 1',
        'X-Real-IP: 6.6.6.6',
        'Forwarded: for=6.6.6.6',
      ]),
    );

    const [request] = requests;
    assert.deepEqual(valuesOf(request, 'x-real-ip'), ['203.0.113.9']);
    assert.deepEqual(valuesOf(request, 'x-forwarded-proto'), ['https']);
    assert.deepEqual(valuesOf(request, 'x-forwarded-host'), ['shop.example']);
    assert.deepEqual(valuesOf(request, 'forwarded'), []);
    assert.notDeepEqual(valuesOf(request, 'x-forwarded-port'), ['1']);
  });
});
