// What request-transformer changes, and what it never touches.
import assert from 'node:assert/strict';
import { fakeExchange, fakeHost, type RequestOptions, type RunResult, readConfig, runPlugin } from 'sallyport/testing';
import { plugin } from './handler.ts';
import type { Config } from './rules.ts';

const folder = new URL('.', import.meta.url);

function run(config: object, request: RequestOptions): Promise<RunResult> {
  return runPlugin(plugin, { config: readConfig<Config>(folder, config), request });
}

async function sendJson(
  config: object,
  body: string | Uint8Array,
  headers: RequestOptions['headers'] = {},
): Promise<RunResult> {
  return run(config, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } });
}

describe('request-transformer', () => {
  const ALL = {
    remove: ['gone', 'old2'],
    rename: { old: 'new', old2: 'never', absent: 'never' },
    replace: { present: 'R', missing: 'never' },
    add: { present: 'never', added: 'A', new: 'never' },
    append: { present: 'P', fresh: 'F' },
  };
  const verbs = (part: string): object =>
    Object.fromEntries(Object.entries(ALL).map(([verb, rule]) => [verb, { [part]: rule }]));

  it('changes headers: remove, rename, replace, add, append', async () => {
    const headers = { Gone: '1', Old: ['2', '3'], old2: '4', Present: ['5', '6'], other: '7' };

    const { exchange } = await run(verbs('headers'), { headers });

    assert.deepEqual(exchange.request.headers.entries().toSorted(), [
      ['added', 'A'],
      ['fresh', 'F'],
      ['new', '2'],
      ['new', '3'],
      ['other', '7'],
      ['present', 'P'],
      ['present', 'R'],
    ]);
  });

  it('changes the query and leaves the rest of it byte for byte', async () => {
    const query = 'gone=1&x=%zz&old=%41&old2&Present=5&present=5&&present=6&old';

    const { exchange } = await run(verbs('query'), { query });

    assert.equal(exchange.request.query, 'x=%zz&new=%41&Present=5&present=R&&new&added=A&present=P&fresh=F');
  });

  it('changes the fields of a JSON body and leaves other values as they were written', async () => {
    const body =
      '{ "gone": {"a":[1,"}"]}, "big": 12345678901234567890 ,"old":"\\u0041\\"", "old2":1, "present": [ 1 ], "text":"a,b}" }';

    const { sent } = await sendJson(verbs('body'), body);

    assert.equal(
      sent?.body,
      '{"big":12345678901234567890,"present":["R","P"],"text":"a,b}","new":"\\u0041\\"","added":"A","fresh":["F"]}',
    );
  });

  it('adds JSON of any type to the body', async () => {
    const { sent } = await sendJson(
      { add: { body: { n: 1, o: { a: null } } }, append: { body: { l: [1], s: true } } },
      '{"l":[ ],"s":{}}',
    );

    assert.equal(sent?.body, '{"l":[[1]],"s":[{},true],"n":1,"o":{"a":null}}');
  });

  it("takes Kong's lists of name:value too", async () => {
    const config = {
      add: { headers: ['x-a:1:2', 'x-empty:'], query: ['q:a b'], body: ['f:v'] },
      rename: { headers: ['x-b:x-c'] },
    };

    const { exchange, sent } = await sendJson(config, '{}', { 'x-b': '1' });

    assert.equal(exchange.request.headers.get('x-a'), '1:2');
    assert.equal(exchange.request.headers.get('x-empty'), '');
    assert.equal(exchange.request.headers.get('x-c'), '1');
    assert.equal(exchange.request.query, 'q=a%20b');
    assert.equal(sent?.body, '{"f":"v"}');
  });

  it('puts values in literally', async () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: that it stays one is what is tested.
    const text = '$(headers.host) ${env.HOME} {{vault://x}} &=#';

    const { exchange, sent } = await sendJson(
      { add: { headers: { x: text }, query: { x: text }, body: { x: text } } },
      '{}',
    );

    assert.equal(exchange.request.headers.get('x'), text);
    assert.equal(decodeURIComponent(exchange.request.query), `x=${text}`);
    assert.deepEqual(JSON.parse(sent?.body ?? ''), { x: text });
  });

  it('handles field names that objects treat as their own', async () => {
    const { sent } = await sendJson(
      { add: { body: { constructor: 1 } }, remove: { body: ['toString'] } },
      '{"__proto__":{"a":1},"toString":2}',
    );

    assert.equal(sent?.body, '{"__proto__":{"a":1},"constructor":1}');
  });

  it('sends the body byte for byte when no rule changes it', async () => {
    const body = ' {"a" : 1} ';

    const { sent } = await sendJson({ remove: { body: ['b'] } }, body);

    assert.equal(sent?.body, body);
  });

  const untouched: [string, RequestOptions][] = [
    ['another type', { body: '{"a":1,"a":2}', headers: { 'content-type': 'text/plain' } }],
    ['no type', { body: '{"a":1}' }],
    ['a type that only begins like JSON', { body: '{"a":1}', headers: { 'content-type': 'application/jsonlines' } }],
    ['an empty body', { body: '', headers: { 'content-type': 'application/json' } }],
  ];
  for (const [what, request] of untouched) {
    it(`leaves ${what} alone`, async () => {
      const { sent, reachedUpstream } = await run({ remove: { body: ['a'] } }, { method: 'POST', ...request });

      assert.equal(reachedUpstream, true);
      assert.equal(sent?.body, request.body);
    });
  }

  const invalid: [string, string | Uint8Array, RequestOptions['headers']?][] = [
    ['does not parse', '{"a":1'],
    ['repeats a key', '{"a":"bad","a":"good"}'],
    ['repeats a key deep inside', '{"b":[{"a":1,"\\u0061":2}]}'],
    ['is a list', '[{"a":1}]'],
    ['is a number', '1'],
    ['is null', 'null'],
    ['begins with a byte order mark', '\uFEFF{"a":1}'],
    ['is not UTF-8', Buffer.from('{"a":"é"}', 'latin1')],
    ['nests too deep', `{"a":${'['.repeat(100)}${']'.repeat(100)}}`],
    ['is compressed', '{"a":1}', { 'content-encoding': 'gzip' }],
    ['claims another charset', '{"a":1}', { 'content-type': 'application/json; charset=utf-16' }],
    ['has two types', '{"a":1}', { 'content-type': ['application/json', 'text/plain'] }],
  ];
  for (const [why, body, headers] of invalid) {
    it(`answers 400 and never calls the upstream when the body ${why}`, async () => {
      const result = await sendJson({ remove: { body: ['a'] } }, body, headers);

      assert.deepEqual([result.status, result.reachedUpstream], [400, false]);
      assert.equal(JSON.parse(result.body).code, 'BODY_INVALID');
    });
  }

  it('answers 413 when the body is larger than allowed', async () => {
    const { status } = await sendJson({ remove: { body: ['a'] }, maxBodyBytes: 10 }, '{"a":"0123456789"}');

    assert.equal(status, 413);
  });

  it('does not look at a body without a rule for it, and costs no promise', async () => {
    const config = readConfig<Config>(folder, { add: { headers: { 'x-a': '1' } } });
    const state = await plugin.setup?.(config, fakeHost());
    assert.ok(state);
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };

    assert.equal(plugin.onRequest?.(fakeExchange({ headers, body: '{' }), config, state), undefined);
  });

  const wrong = [
    { add: { headers: { 'Content-Length': '0' } } },
    { add: { headers: ['transfer-encoding:chunked'] } },
    { remove: { headers: ['CONNECTION'] } },
    { rename: { headers: { 'x-a': 'Host' } } },
    { rename: { headers: ['x-a:upgrade'] } },
    { add: { headers: { 'x-a': 'a\r\nx-b: c' } } },
    { add: { headers: ['x-a:a\nb'] } },
    { add: { headers: { 'x a': 'b' } } },
    { append: { query: { '': 'b' } } },
    { remove: { cookies: [] } },
    { maxBodyBytes: 0 },
  ];
  for (const config of wrong) {
    it(`refuses the configuration ${JSON.stringify(config)}`, () => {
      assert.throws(() => readConfig(folder, config), { name: 'ConfigError' });
    });
  }
});
