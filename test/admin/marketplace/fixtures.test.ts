// The check that runs fixtures: friendly packages pass, hostile ones fail in bounded time and reach nothing of the admin.
// Must not run a plugin's code in this process.
import assert from 'node:assert/strict';
import { checkFixtures } from '../../../admin/marketplace/checks/fixtures.ts';
import { openPackage } from '../../../gateway/package/package.ts';
import { samplePackage } from '../../support/market/packages.ts';

type Case = readonly [what: string, code: string, result: 'passed' | 'warned' | 'failed', detail: RegExp];

const greet = (body: string): string => `export const plugin = { onResponse({ response }) { ${body} } };`;
const FIXTURE = JSON.stringify({
  name: 'greets',
  config: {},
  request: { method: 'GET', path: '/' },
  upstream: { status: 200, headers: {}, body: 'x' },
  expect: { status: 200, response: { headers: { 'x-hello': 'hi' } } },
});
const HELLO = `response.headers.set('x-hello', 'hi');`;

const CASES: readonly Case[] = [
  ['that do what they say', greet(HELLO), 'passed', /All 1 come out/],
  ['that do not', greet(`response.headers.set('x-hello', 'no');`), 'failed', /greets: .*x-hello/],
  ['of code that does not load', 'throw new Error("no");', 'failed', /does not load/],
  ['of code without its hook', 'export const plugin = {};', 'failed', /does not load/],
  ['of code that throws', greet('throw new Error("broken");'), 'failed', /greets/],
  ['of code that loops', greet('for (;;) {}'), 'failed', /greets/],
  ['of code that loops as it loads', `for (;;) {} ${greet(HELLO)}`, 'failed', /load|come to an end/],
  [
    'of code that writes what it may not',
    greet(`${HELLO} response.headers.set('set-cookie', 'a=b');`),
    'failed',
    /greets|step in/,
  ],
  [
    'of code that looks for a process, an environment and files',
    greet(
      `response.headers.set('x-hello', typeof process + typeof require + typeof fetch === 'undefinedundefinedundefined' ? 'hi' : 'leak');`,
    ),
    'passed',
    /All 1/,
  ],
  [
    'of code that eats memory',
    greet('const kept = []; for (;;) kept.push(new Array(1e6).fill(1));'),
    'failed',
    /greets/,
  ],
];

describe('the check of fixtures', function () {
  this.timeout(60_000);

  for (const [what, code, result, detail] of CASES) {
    it(`says ${result} of those ${what}`, async () => {
      const files = { 'index.js': code, 'fixtures/greets.json': FIXTURE };

      const check = await checkFixtures(openPackage(samplePackage({ files })));

      assert.equal(check.result, result, check.detail);
      assert.match(check.detail, detail);
      assert.ok(check.detail.length <= 1000);
    });
  }

  it('asks what the code does and not how fast: a busy machine refuses no review', async () => {
    const slow = greet(`for (const until = Date.now() + 200; Date.now() < until; ); ${HELLO}`);
    const files = { 'index.js': slow, 'fixtures/greets.json': FIXTURE };

    const check = await checkFixtures(openPackage(samplePackage({ manifest: { limits: { timeoutMs: 20 } }, files })));

    assert.equal(check.result, 'passed', check.detail);
  });

  it('warns of a package without any', async () => {
    const check = await checkFixtures(openPackage(samplePackage({ files: { 'fixtures/greets.json': undefined } })));

    assert.equal(check.result, 'warned');
  });

  it('fails fixtures that are no fixtures', async () => {
    const check = await checkFixtures(openPackage(samplePackage({ files: { 'fixtures/greets.json': '{"a":1}' } })));

    assert.equal(check.result, 'failed');
  });
});
