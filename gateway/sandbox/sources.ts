// The code that every guest loads before its plugin, as text: guests read no file.
// Must not hold anything of a plugin.
import { readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Is the code of a guest: modules by path, with the two paths that matter. */
export interface GuestSources {
  readonly modules: Readonly<Record<string, string>>;
  readonly entry: string;
  readonly contract: string;
}

const ENTRY = 'sandbox/guest/main.js';
const CONTRACT = 'core/plugin.js';

const known = new Map<string, GuestSources>();

/** Reads a guest's modules and all that they import; `entry` is the first. */
export function readGuestSources(entry: string = ENTRY): GuestSources {
  const before = known.get(entry);
  if (before) return before;
  const modules: Record<string, string> = {};
  const add = (path: string): void => {
    if (modules[path] !== undefined) return;
    const text = readFileSync(join(ROOT, path), 'utf8');
    modules[path] = text;
    for (const [, specifier = ''] of text.matchAll(/^(?:import|export)\b[^'"]*['"](\.[^'"]+)['"];$/gm)) {
      add(posix.join(posix.dirname(path), specifier));
    }
  };
  add(entry);
  add(CONTRACT);
  const sources = { modules, entry, contract: CONTRACT };
  known.set(entry, sources);
  return sources;
}

/**
 * Checks what no guest can be let do: `import()` would give the plugin a promise that is not of its realm.
 *
 * @throws TypeError
 */
export function checkCode(code: string): void {
  for (let at = code.indexOf('import'); at !== -1; at = code.indexOf('import', at + 1)) {
    const isWord = !/[\w$.]/.test(code[at - 1] ?? ' ');
    if (isWord && code[skipBlank(code, at + 'import'.length)] === '(') {
      throw new TypeError('a package cannot import() at run time');
    }
  }
}

/** Gives where code goes on after blanks and comments. By hand: an expression for it takes exponential time. */
function skipBlank(code: string, from: number): number {
  let at = from;
  for (;;) {
    while (/\s/.test(code[at] ?? '(')) at++;
    const closing = code.startsWith('/*', at) ? '*/' : code.startsWith('//', at) ? '\n' : undefined;
    if (closing === undefined) return at;
    const end = code.indexOf(closing, at + 2);
    if (end === -1) return code.length;
    at = end + closing.length;
  }
}
