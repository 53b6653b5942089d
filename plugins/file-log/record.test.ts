// What a line of file-log holds, hides and withstands.
// Must not write a file.
import assert from 'node:assert/strict';
import { type ExchangeOptions, fakeExchange } from 'sallyport/testing';
import { buildRecordWriter, quote } from './record.ts';
import { buildSecretTest, redactQuery, redactUrl } from './redact.ts';

const HEADER_FIELDS = ['requestHeaders', 'responseHeaders'] as const;

describe('a line of file-log', () => {
  function write(options: ExchangeOptions, fields: readonly string[], redact: readonly string[] = []): string {
    return buildRecordWriter(fields, redact)(fakeExchange(options));
  }

  it('holds no secret of the usual headers and parameters', () => {
    const canary = 'canary-1234';
    const line = write(
      {
        query: `apikey=${canary}&%61pi_key=${canary}&access_token=${canary}&page=2&Password=${canary}`,
        headers: {
          authorization: `Bearer ${canary}`,
          'proxy-authorization': canary,
          cookie: `a=${canary}`,
          apikey: canary,
          'x-api-key': [canary, canary],
          'x-session-id': canary,
          'x-jwt-assertion-token': canary,
          referer: `https://user:${canary}@shop.test/a?token=${canary}&b=1#access_token=${canary}`,
          'x-public': 'shown',
        },
        response: { status: 302, headers: { 'set-cookie': `s=${canary}`, location: `/next?code=${canary}` } },
      },
      [...HEADER_FIELDS, 'query', 'referer'],
    );

    assert.doesNotMatch(line, new RegExp(canary));
    const { query, requestHeaders, referer } = JSON.parse(line);
    assert.equal(query, 'apikey=[redacted]&%61pi_key=[redacted]&access_token=[redacted]&page=2&Password=[redacted]');
    assert.equal(requestHeaders['x-public'], 'shown');
    assert.equal(referer, 'https://[redacted]@shop.test/a?token=[redacted]&b=1');
  });

  it('hides what it is told besides', () => {
    const line = write(
      { query: 'Patient=7', headers: { 'x-patient': '7' } },
      ['query', 'requestHeaders'],
      ['patient', 'X-Patient'],
    );

    assert.deepEqual(JSON.parse(line), { query: 'Patient=[redacted]', requestHeaders: { 'x-patient': '[redacted]' } });
  });

  const hostile: [string, string][] = [
    ['line breaks', 'a\r\nb\nc\rd'],
    ['quotes and backslashes', '"},{"a":"\\'],
    ['escape sequences', '\u001b[2J\u009b31m\u0007'],
    ['line ends of Unicode', 'a\u0085b\u2028c\u2029d'],
    ['lone surrogates', 'a\ud800b\udfff'],
    ['NUL and DEL', '\u0000\u007f'],
  ];
  for (const [what, text] of hostile) {
    it(`is one parseable line with ${what} in it`, () => {
      const quoted = quote(text);

      assert.equal(JSON.parse(quoted), text);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
      assert.doesNotMatch(quoted, /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
      assert.equal(Buffer.from(quoted).toString(), quoted);
    });
  }

  it('is bounded however long a header is', () => {
    const line = write({ headers: { 'user-agent': `${'x'.repeat(1024 * 1024)}` } }, ['userAgent']);

    assert.ok(line.length < 2_100);
    assert.match(JSON.parse(line).userAgent, /^x{2048}\.\.\.$/);
  });

  it('keeps header names that JavaScript takes for its own', () => {
    const line = write({ headers: [['__proto__', 'a'] as const, ['constructor', 'b'] as const] }, ['requestHeaders']);

    assert.match(line, /\{"__proto__":"a","constructor":"b"\}/);
  });

  it('keeps the lines of a repeated header apart', () => {
    const line = write({ headers: { accept: ['a', 'b, c'] } }, ['requestHeaders']);

    assert.deepEqual(JSON.parse(line), { requestHeaders: { accept: ['a', 'b, c'] } });
  });
});

describe('redactQuery', () => {
  const isSecret = buildSecretTest([]);
  const cases: [string, string][] = [
    ['', ''],
    ['a=1&b=2', 'a=1&b=2'],
    ['apikey', 'apikey'],
    ['apikey=', 'apikey=[redacted]'],
    ['&&apikey=x&', '&&apikey=[redacted]&'],
    ['a=1&apikey=x=y&b=%zz', 'a=1&apikey=[redacted]&b=%zz'],
    ['%zzkey=x', '%zzkey=[redacted]'],
    ['monkey=1', 'monkey=[redacted]'],
    ['keyword=1', 'keyword=1'],
  ];
  for (const [query, expected] of cases) {
    it(`writes "${query}" as "${expected}"`, () => {
      assert.equal(redactQuery(query, isSecret), expected);
    });
  }

  it('takes the user and the fragment off a URL', () => {
    assert.equal(redactUrl('//u:p@h/x#token=1', isSecret), '//[redacted]@h/x');
    assert.equal(redactUrl('/plain', isSecret), '/plain');
  });
});
