// The process tier alone: what its children may do, and when they end.
// Must not test what a package does in every tier.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { launch, readFootprint } from '../../../gateway/sandbox/process/launch.ts';
import { checkCode } from '../../../gateway/sandbox/sources.ts';
import { until } from '../../support/until.ts';
import { closeAll, listChildren, openPackage } from './support.ts';

/** Says whether a process runs; one that has ended and is not yet waited for does not. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}

describe('a child process of the sandbox', function () {
  this.timeout(20_000);
  before(function () {
    if (!existsSync('/proc/self/status')) this.skip();
  });
  afterEach(closeAll);

  it('ends with its worker, also when that is killed while a hook loops', async () => {
    const script = fileURLToPath(new URL('orphan.js', import.meta.url));
    const worker = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const line = await new Promise<string>((resolve) => worker.stdout.once('data', (bytes) => resolve(String(bytes))));
    const pids = line.trim().split(' ').map(Number);
    assert.ok(pids.length > 0 && pids.every(isRunning), line);

    worker.kill('SIGKILL');

    await until(() => !pids.some(isRunning));
  });

  it('ends when its sandbox is closed, and nothing of it stays', async () => {
    // This process has children of other tests.
    const others = listChildren();
    const pack = await openPackage('process', { hooks: 'onRequest() {}' });
    const children = listChildren(others);
    assert.ok(children.length > 0);

    await pack.sandbox.close();

    await until(() => !children.some(({ pid }) => isRunning(pid)));
  });

  it('has no environment, no core dump, few files and a bound on its memory', async () => {
    await openPackage('process', { hooks: 'onRequest() {}' });
    const [child] = listChildren().slice(-1);
    assert.ok(child);

    const limits = readFileSync(`/proc/${child.pid}/limits`, 'latin1');
    const environment = readFileSync(`/proc/${child.pid}/environ`, 'latin1');

    assert.equal(environment, '');
    assert.match(limits, /^Max core file size\s+0\s+0/m);
    assert.match(limits, /^Max open files\s+64\s+64/m);
    assert.doesNotMatch(limits, /^Max data size\s+unlimited/m);
  });

  it('is started anew when it is killed from outside, set up as before', async () => {
    const others = listChildren();
    const pack = await openPackage('process', {
      permissions: { respond: true },
      config: { word: 'as before' },
      hooks: `setup: (config) => config.word, onRequest(exchange, config, state) { exchange.respond(200, {}, state); }`,
    });
    const running = await pack.start();
    const [child] = listChildren(others);
    assert.ok(child);

    process.kill(child.pid, 'SIGKILL');
    const incident = await pack.incident('crash');

    assert.match(incident.message, /SIGKILL/);
    await until(() => listChildren(others).some(({ pid }) => pid !== child.pid && isRunning(pid)));
    // A set-up waits for the new child, so all of them are done again when it is through.
    const other = await pack.start();
    assert.deepEqual([(await other.send()).body, (await running.send()).body], ['as before', 'as before']);
  });

  // The pauses add up to 51 s, and a revision waits no longer than 30.
  it('is started at once for a set-up, however often it was lost', async () => {
    const others = listChildren();
    const pack = await openPackage('process', { hooks: 'onRequest() {}' });

    for (let losses = 1; losses <= 10; losses++) {
      for (const { pid } of listChildren(others)) process.kill(pid, 'SIGKILL');
      await until(() => pack.incidents.length >= losses);
      await pack.start();
    }

    assert.equal(pack.incidents.length, 10);
  });

  it('may read no file, start no process, and is told so by Node', async () => {
    const launched = launch(32, 0);
    await new Promise((resolve) => launched.channel.once('data', resolve));

    const command = readFileSync(`/proc/${launched.child.pid}/cmdline`, 'latin1').split('\0');

    assert.ok(
      command.some((flag) => /^--(experimental-)?permission$/.test(flag)),
      command.join(' '),
    );
    assert.ok(!command.some((flag) => /allow-(child|worker|fs-write|addons|wasi|net)/.test(flag)));
    assert.ok((readFootprint(launched.child.pid)?.rssKb ?? 0) > 0);
    launched.kill();
  });
});

describe('the check of code', () => {
  it('finds a call of import(), and nothing else', () => {
    const calls = [
      'import("a")',
      'x = import ( "a")',
      'import/**/("a")',
      'import/*\n*/ // b\n ("a")',
      'await import\n("a")',
      ';import("a")',
    ];
    const none = [
      "import a from 'a';",
      "import { a } from 'a';",
      'importer("a")',
      'x.import("a")',
      'reimport("a")',
      'import.meta.url',
      'import /* never closed (',
    ];

    for (const code of calls) assert.throws(() => checkCode(code), TypeError, code);
    for (const code of none) assert.doesNotThrow(() => checkCode(code), code);
  });

  it('takes time by the length of the code alone', () => {
    const beganMs = performance.now();

    checkCode(`import${'/**/'.repeat(200_000)}x`);
    checkCode('import '.repeat(200_000));

    assert.ok(performance.now() - beganMs < 2_000);
  });
});
