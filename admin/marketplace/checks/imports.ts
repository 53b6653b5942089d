// Finds what the code of a plugin reaches for beyond `sallyport/plugin`, by parsing it.
// Must not run the code; a real parser reads it, because strings and regular expressions fool everything else.
import { build, type Message } from 'esbuild';
import { type Check, failed, passed, warned } from './check.ts';

const CONTRACT = 'sallyport/plugin';

/** What the parser says about code that it cannot follow, and what a reviewer should hear. */
const FORBIDDEN: Readonly<Record<string, string>> = {
  'unsupported-dynamic-import': 'imports by a name made at run time',
  'unsupported-require-call': 'requires by a name made at run time',
  'indirect-require': 'uses require as a value',
};
const SUSPECT: Readonly<Record<string, string>> = { 'direct-eval': 'calls eval' };

/** Matches code that is made from text where no parser tells. In text or a comment it warns for nothing; people look. */
const MADE_FROM_TEXT =
  /\bnew\s+(?:Async|Generator|AsyncGenerator)?Function\b|\bFunction\s*\(|\.constructor\s*\(|\beval\b/;

/** Checks the code of a plugin. */
export async function checkImports(code: string): Promise<Check> {
  const found = new Set<string>();
  const messages = await parse(code, (path, kind) => {
    if (kind === 'import-statement' && path === CONTRACT) return;
    found.add(kind === 'import-statement' ? `imports ${quote(path)}` : `${kind} of ${quote(path)}`);
  });
  if (messages === undefined) return failed('imports', 'The code does not parse as a module.');
  for (const { id } of messages) if (FORBIDDEN[id] !== undefined) found.add(FORBIDDEN[id]);
  if (found.size > 0) {
    return failed('imports', `Only ${CONTRACT} may be imported; the code ${[...found].slice(0, 10).join(', ')}.`);
  }
  const suspect = messages.flatMap(({ id }) => SUSPECT[id] ?? []);
  if (suspect.length > 0 || MADE_FROM_TEXT.test(code)) {
    return warned('imports', 'Imports nothing else, but may make code from text (eval, Function). Look at why.');
  }
  return passed('imports', `Imports ${CONTRACT} only.`);
}

function quote(path: string): string {
  return JSON.stringify(path.slice(0, 100));
}

/** Gives what the parser warns about; undefined when the code does not parse. */
async function parse(
  code: string,
  onImport: (path: string, kind: string) => void,
): Promise<readonly Message[] | undefined> {
  const watched = [...Object.keys(FORBIDDEN), ...Object.keys(SUSPECT)];
  try {
    const { warnings } = await build({
      stdin: { contents: code, loader: 'js', sourcefile: 'index.js' },
      bundle: true,
      write: false,
      format: 'esm',
      logLevel: 'silent',
      logOverride: Object.fromEntries(watched.map((id) => [id, 'warning' as const])),
      plugins: [
        {
          name: 'imports',
          setup({ onResolve }) {
            onResolve({ filter: /.*/ }, ({ path, kind }) => {
              if (kind === 'entry-point') return undefined;
              onImport(path, kind);
              // Nothing is read from disk: every import stays what it is.
              return { path, external: true };
            });
          },
        },
      ],
    });
    return warnings;
  } catch {
    return undefined;
  }
}
