// Runs the tests in two mochas side by side: most of their time they wait for processes to start.
// Must not pass when a test failed, was left out, or when either of them did not end well.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const LANES = 2;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const mocha = join(dirname(createRequire(import.meta.url).resolve('mocha/package.json')), 'bin', 'mocha.js');

const files = readdirSync(join(root, 'dist'), { recursive: true })
  .filter((path) => path.endsWith('.test.js'))
  .sort()
  .map((path) => join('dist', path));
// Every second one: files of one folder take about as long.
const lanes = Array.from({ length: LANES }, (_, lane) => files.filter((_, at) => at % LANES === lane));

const runs = lanes.map((own, lane) => {
  const child = spawn(process.execPath, [mocha, '--no-color', ...own], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (piece) => {
      text += piece;
      // One is shown as it goes, the other behind it: two at once would be read by nobody.
      if (lane === 0) process.stdout.write(piece);
    });
  }
  return once(child, 'close').then(([code]) => ({ code, text }));
});

const results = await Promise.all(runs);
for (const { text } of results.slice(1)) process.stdout.write(text);

const count = (word) => {
  const pattern = new RegExp(`^ +(\\d+) ${word}\\b`, 'm');
  return results.reduce((sum, { text }) => sum + Number(pattern.exec(text)?.[1] ?? 0), 0);
};
const seconds = Math.round(performance.now() / 1_000);
process.stdout.write(`\n  ${count('passing')} passing (${seconds}s in ${LANES} lanes)\n`);
for (const word of ['pending', 'failing']) if (count(word) > 0) process.stdout.write(`  ${count(word)} ${word}\n`);
if (results.some(({ code }) => code !== 0)) process.exitCode = 1;
