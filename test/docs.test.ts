// The documents against what they describe: tables, links, names of files, numbers of decisions.
// Must not check style or taste.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ADMIN_ERRORS } from '../admin/errors.ts';
import { TRANSITIONS } from '../admin/marketplace/states.ts';
import { SETTINGS } from '../cli/settings.ts';
import { ERRORS, GatewayError } from '../gateway/core/errors.ts';
import { GRPC_STATUS } from '../gateway/core/exchange/grpc.ts';
import type { Manifest } from '../gateway/core/manifest.ts';
import type { Scope } from '../gateway/core/model.ts';
import { readRequestTarget } from '../gateway/core/routing/path.ts';
import { rankScope, STAGES } from '../gateway/core/routing/resolve.ts';
import { MAX_FILES, MAX_PACKED_BYTES, MAX_UNPACKED_BYTES } from '../gateway/package/archive.ts';
import { PACKAGE_ERRORS } from '../gateway/package/errors.ts';
import { MAX_SCHEMA_BYTES } from '../gateway/package/schema-profile.ts';
import { listAnchors, listCodeSpans, listLinks, listPages, plain, readTable } from './support/pages/markdown.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PAGES = listPages(ROOT);
const MAX_ARCHITECTURE_LINES = 150;
const MAX_DECISION_LINES = 60;

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

function readManifests(): readonly Manifest[] {
  const folders = readdirSync(join(ROOT, 'plugins'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return folders.map(({ name }) => JSON.parse(read(`plugins/${name}/manifest.json`)) as Manifest);
}

describe('docs/errors.md', () => {
  it('lists the errors of the proxy, each with advice', () => {
    const rows = readTable(read('docs/errors.md'), 'From the proxy');

    const expected = Object.entries(ERRORS).map(([code, { status, source, isRetryable, title }]) => [
      `\`${code}\``,
      String(status),
      source,
      isRetryable ? 'yes' : 'no',
      title,
    ]);
    assert.deepEqual(
      rows.map((row) => row.slice(0, 5)),
      expected,
    );
    for (const row of rows) assert.ok((row[5] ?? '').length > 20, `${row[0]} needs advice`);
  });

  it('lists the errors of the admin service, each with advice', () => {
    const rows = readTable(read('docs/errors.md'), 'From the admin service');

    const expected = Object.entries(ADMIN_ERRORS).map(([code, { status, isRetryable, title }]) => [
      `\`${code}\``,
      String(status),
      isRetryable ? 'yes' : 'no',
      title,
    ]);
    assert.deepEqual(
      rows.map((row) => row.slice(0, 4)),
      expected,
    );
    for (const row of rows) assert.ok((row[4] ?? '').length > 20, `${row[0]} needs advice`);
  });
});

describe('docs/packages.md', () => {
  it('lists every reason to refuse a package, each with advice', () => {
    const rows = readTable(read('docs/packages.md'), 'Reasons to refuse');

    assert.deepEqual(
      rows.map((row) => row.slice(0, 2)),
      Object.entries(PACKAGE_ERRORS).map(([code, title]) => [`\`${code}\``, title]),
    );
    for (const row of rows) assert.ok((row[2] ?? '').length > 20, `${row[0]} needs advice`);
  });

  it('gives the bounds as they are', () => {
    const rows = readTable(read('docs/packages.md'), 'Bounds');

    assert.deepEqual(
      rows.map(([, bound = '']) => Number(bound.replaceAll(' ', ''))),
      [MAX_PACKED_BYTES, MAX_UNPACKED_BYTES, MAX_FILES, MAX_SCHEMA_BYTES],
    );
  });
});

describe('docs/grpc.md', () => {
  it('lists the status of every error', () => {
    const rows = readTable(read('docs/grpc.md'), 'Errors of the gateway');

    const listed = Object.fromEntries(rows.map(([code, status = '']) => [plain(code), Number(status.split(' ')[0])]));
    assert.deepEqual(listed, GRPC_STATUS);
  });
});

describe('docs/marketplace.md', () => {
  it('lists every step between states, and who may take it', () => {
    const rows = readTable(read('docs/marketplace.md'), 'For reviewers');

    const expected = TRANSITIONS.map(({ from, to, through, roles }) => [from, to, through, roles.join(', ')]);
    assert.deepEqual(rows, expected);
  });
});

describe('docs/routing.md', () => {
  it('says of each path what the gateway makes of it', () => {
    const rows = readTable(read('docs/routing.md'), 'The canonical path');

    assert.ok(rows.length > 15);
    for (const [sent, result] of rows) assert.equal(resultOf(plain(sent)), plain(result), plain(sent));
  });

  it('ranks scopes as they are ranked', () => {
    const rows = readTable(read('docs/routing.md'), 'Plugins: which binding holds');

    const ranks = rows.map(([, names = '']) => {
      const parts = names === 'global' ? [] : names.split(' + ');
      return rankScope(Object.fromEntries(parts.map((part) => [part, 'x'])) as Scope);
    });
    assert.deepEqual(ranks, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  });
});

function resultOf(target: string): string {
  try {
    return readRequestTarget(target, 'h').path;
  } catch (error) {
    return error instanceof GatewayError ? error.code : String(error);
  }
}

describe('docs/settings.md', () => {
  it('lists every setting as the command reads it', () => {
    const rows = readTable(read('docs/settings.md'), 'Settings');

    const expected = Object.values(SETTINGS).map(({ name, defaultText, description, example }) => [
      `\`${name}\``,
      defaultText || '-',
      description,
      `\`${example}\``,
    ]);
    assert.deepEqual(rows, expected);
  });
});

describe('docs/dependencies.md', () => {
  it('lists what package.json lists, with the installed version', () => {
    const { dependencies } = JSON.parse(read('package.json')) as { readonly dependencies: Record<string, string> };
    const rows = readTable(read('docs/dependencies.md'), 'Dependencies');

    assert.deepEqual(rows.map(([name]) => plain(name)).sort(), Object.keys(dependencies).sort());
    for (const [name, , , upkeep] of rows) {
      const version = (dependencies[plain(name)] ?? '').replace('^', '');
      assert.ok(upkeep?.startsWith(version), `${plain(name)} is at ${version}`);
    }
  });
});

describe('plugins/README.md', () => {
  it('lists the built-in plugins, by stage and name', () => {
    const rows = readTable(read('plugins/README.md'), 'Plugins');

    const order = (one: Manifest): string => `${STAGES.indexOf(one.stage)} ${one.name}`;
    const sorted = [...readManifests()].sort((a, b) => (order(a) < order(b) ? -1 : 1));
    const expected = sorted.map(({ name, stage, scopes, summary }) => [
      `[${name}](${name}/README.md)`,
      stage,
      scopes.join(', '),
      summary,
    ]);
    assert.deepEqual(rows, expected);
  });
});

describe('docs/adr', () => {
  const files = readdirSync(join(ROOT, 'docs', 'adr')).sort();

  it('numbers the decisions without a gap', () => {
    const numbers = files.map((file) => Number(/^(\d{4})-[a-z0-9-]+\.md$/.exec(file)?.[1]));

    assert.deepEqual(
      numbers,
      files.map((_, index) => index + 1),
    );
  });

  it('gives each its number, a status, context, decision, alternatives and consequences, on one page', () => {
    for (const file of files) {
      const text = read(`docs/adr/${file}`);
      assert.ok(text.startsWith(`# ${file.slice(0, 4)}: `), file);
      assert.match(text, /^Status: (accepted|superseded by \d{4}), \d{4}-\d\d-\d\d$/m, file);
      for (const part of ['Context', 'Decision', 'Alternatives', 'Consequences']) {
        assert.ok(text.includes(`\n## ${part}\n`), `${file} needs ${part}`);
      }
      assert.ok(text.split('\n').length <= MAX_DECISION_LINES, `${file} is longer than a page`);
    }
  });
});

describe('every document', () => {
  it('links only to what is there', () => {
    const broken = PAGES.flatMap((page) =>
      listLinks(read(page))
        .filter((link) => {
          const [path = '', anchor] = link.split('#');
          const target = path === '' ? page : join(dirname(page), decodeURIComponent(path));
          if (!existsSync(join(ROOT, target))) return true;
          return anchor !== undefined && target.endsWith('.md') && !listAnchors(read(target)).includes(anchor);
        })
        .map((link) => `${page}: ${link}`),
    );

    assert.deepEqual(broken, []);
  });

  it('names only files and folders that are there', () => {
    // A decision is history: it keeps the names of its day.
    const pages = PAGES.filter((page) => !page.startsWith('docs/adr/'));
    const path = /^(?:\.ci|admin|bench|cli|docs|examples|gateway|migrations|plugins|scripts|test)\/[\w.\-/]*$/;
    const missing = pages.flatMap((page) =>
      listCodeSpans(read(page))
        .filter((span) => path.test(span) && !existsSync(join(ROOT, span)))
        .map((span) => `${page}: ${span}`),
    );

    assert.deepEqual(missing, []);
  });

  it('names only settings that exist', () => {
    const known = new Set<string>(Object.values(SETTINGS).map(({ name }) => name));
    const unknown = PAGES.flatMap((page) =>
      [...read(page).matchAll(/\bSALLYPORT_[A-Z_]*[A-Z]\b/g)]
        .filter(([name]) => !known.has(name))
        .map(([name]) => `${page}: ${name}`),
    );

    assert.deepEqual(unknown, []);
  });

  it('gives ADMIN and TOKEN, where its commands use them, the meaning that they have in the README', () => {
    const defined = 'ADMIN=http://127.0.0.1:8001/v1\nTOKEN="Authorization: Bearer $(cat .sallyport/admin-token)"\n';
    const used = /\$(?:ADMIN|TOKEN)\b/;
    const wrong = PAGES.filter((page) => used.test(read(page)) && !read(page).includes(defined));

    assert.deepEqual(wrong, []);
  });

  it('holds no path of the machine it was written on', () => {
    const found = PAGES.filter((page) =>
      /(?:^|[\s`'"(=])\/(?:home|Users|root|work|workspace|private)\//m.test(read(page)),
    );

    assert.deepEqual(found, []);
  });
});

describe('README.md', () => {
  it('gives the two commands word for word', () => {
    const text = read('README.md');

    for (const command of ['npm ci && npm start', 'npm ci && npm test']) assert.ok(text.includes(command), command);
  });
});

describe('ARCHITECTURE.md', () => {
  it('stays short', () => {
    assert.ok(read('ARCHITECTURE.md').trimEnd().split('\n').length <= MAX_ARCHITECTURE_LINES);
  });

  it('names every top folder, and every folder of the gateway and of its core', () => {
    const text = read('ARCHITECTURE.md');
    const foldersOf = (folder: string): string[] =>
      readdirSync(join(ROOT, folder), { withFileTypes: true })
        .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
        .map((entry) => entry.name);

    const hidden = new Set(['node_modules', 'dist', 'coverage']);
    const folders = ['.', 'gateway', 'gateway/core'].flatMap(foldersOf);
    assert.deepEqual(
      folders.filter((name) => !hidden.has(name) && !text.includes(`${name}/`)),
      [],
    );
  });
});

describe('CHANGELOG.md', () => {
  it('begins with Unreleased and uses the known sections', () => {
    const headings = [...read('CHANGELOG.md').matchAll(/^(#+) (.+)$/gm)].map(([, level, text]) => [level, text]);

    assert.deepEqual(headings[1], ['##', 'Unreleased']);
    const sections = headings.filter(([level]) => level === '###').map(([, text]) => text ?? '');
    for (const section of sections) {
      assert.ok(['Added', 'Changed', 'Deprecated', 'Removed', 'Fixed', 'Security'].includes(section), section);
    }
  });
});
