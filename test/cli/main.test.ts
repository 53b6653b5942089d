// Facts about the command line: help, versions, wrong calls, exit codes.
// Must not start a process or a service.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { COMMANDS } from '../../cli/commands.ts';
import { runMain } from '../../cli/main.ts';
import { SETTINGS } from '../../cli/settings.ts';

interface Result {
  readonly code: number;
  readonly printed: string;
  readonly complained: string;
}

async function run(words: readonly string[], environment: Record<string, string> = {}): Promise<Result> {
  const printed: string[] = [];
  const complained: string[] = [];
  const output = { print: (line: string) => printed.push(line), complain: (line: string) => complained.push(line) };
  const code = await runMain(words, environment, {
    print: (line) => void output.print(line),
    complain: (line) => void output.complain(line),
  });
  return { code, printed: printed.join('\n'), complained: complained.join('\n') };
}

describe('sallyport', () => {
  it('shows every command and every setting in its help', async () => {
    const { code, printed } = await run(['--help']);

    assert.equal(code, 0);
    for (const { name, summary } of COMMANDS) assert.ok(printed.includes(name) && printed.includes(summary), name);
    for (const { name, description } of Object.values(SETTINGS)) {
      assert.ok(printed.includes(name) && printed.includes(description), name);
    }
  });

  it('shows its version', async () => {
    const { code, printed } = await run(['--version']);

    assert.equal(code, 0);
    assert.match(printed, /^\d+\.\d+\.\d+$/);
  });

  it('shows help and fails when called without a command', async () => {
    const { code, printed } = await run([]);

    assert.equal(code, 2);
    assert.match(printed, /^sallyport \d/);
  });

  for (const command of COMMANDS) {
    it(`shows examples in the help of ${command.name}`, async () => {
      const { code, printed } = await run([...command.name.split(' '), '--help']);

      assert.equal(code, 0);
      assert.ok(printed.startsWith(`Usage: sallyport ${command.name}`));
      assert.ok(command.examples.length > 0);
      for (const example of command.examples) assert.ok(printed.includes(example));
      for (const option of Object.keys(command.options)) assert.ok(printed.includes(`--${option}`));
    });
  }

  for (const [words, expected] of [
    [['strat'], /no command "strat".*start, admin/],
    [['start', 'now'], /start: expected no argument/],
    [['check'], /check: expected FILE/],
    [['apply', 'a', 'b'], /apply: expected FILE/],
    [['apply', 'a', '--dryrun'], /^sallyport apply: there is no option --dryrun; see --help$/],
    [['start', '-p', '8000'], /^sallyport start: there is no option -p; see --help$/],
    [['apply', 'a', '--dry-run=no'], /^sallyport apply: Option '--dry-run' does not take an argument; see --help$/],
    [
      ['plugin', 'publish', 'a.tgz', '--register', '--dry-run'],
      /^sallyport plugin publish: Option '--register' argument is ambiguous; see --help$/,
    ],
    [['migrate', 'sideways'], /up or down, not "sideways"/],
    [['migrate'], /^DATABASE_URL: not set.*Example: DATABASE_URL=/],
    [['gateway'], /^DATABASE_URL: not set.*`sallyport start` does/],
    [['admin'], /^DATABASE_URL: not set/],
    [['export', '--json', '--yaml'], /--json|--yaml/],
  ] as const) {
    it(`exits with 2 and one line for: ${words.join(' ')}`, async () => {
      const { code, complained } = await run(words);

      assert.equal(code, 2);
      assert.match(complained, expected);
      assert.ok(!complained.includes('\n'), complained);
    });
  }

  for (const command of ['start', 'gateway', 'admin', 'migrate', 'export']) {
    it(`exits with 2 when ${command} finds a wrong setting`, async () => {
      const { code, complained } = await run([command], { SALLYPORT_WORKERS: 'many', DATABASE_URL: 'postgres://x' });

      assert.equal(code, 2);
      assert.match(complained, /^SALLYPORT_WORKERS: "many" does not fit/);
    });
  }

  it('names the folder of a plugin that does not load, in one line', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sallyport-plugins-'));
    await mkdir(join(folder, 'broken'));
    const file = join(folder, 'empty.json');
    await writeFile(file, '{}');
    try {
      const { code, complained } = await run(['check', file], { SALLYPORT_PLUGIN_DIRS: folder });

      assert.equal(code, 1);
      assert.match(complained, /^plugin folder \S+\/broken: ENOENT[^\n]*manifest\.json'$/);
      const { complained: missing } = await run(['check', file], { SALLYPORT_PLUGIN_DIRS: join(folder, 'none') });
      assert.match(missing, /^SALLYPORT_PLUGIN_DIRS: \S+\/none cannot be read: ENOENT[^\n]*$/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('says that a variable is no setting, and goes on', async () => {
    const { code, complained } = await run(['check', '/nowhere'], { SALLYPORT_WORKRES: '2' });

    assert.equal(code, 1);
    assert.match(complained, /^SALLYPORT_WORKRES: there is no such setting.*\ncannot read \/nowhere/);
  });

  it('exits with 1 when a file is not there', async () => {
    const { code, complained } = await run(['apply', '/nowhere/sallyport.yaml']);

    assert.equal(code, 1);
    assert.equal(complained, 'cannot read /nowhere/sallyport.yaml: there is no such file');
  });

  it('exits with 1 when the admin service is not there', async () => {
    const { code, complained } = await run(['export'], {
      SALLYPORT_ADMIN_URL: 'http://127.0.0.1:1',
      SALLYPORT_ADMIN_TOKEN: 'sallyport_0123456789abcdef',
    });

    assert.equal(code, 1);
    assert.match(complained, /^cannot reach the admin service at http:\/\/127\.0\.0\.1:1 /);
  });
});
