// Builds dist/: compiles TypeScript and copies the data files that tsc does not emit.
// Must not touch anything outside dist/.
import { execFileSync } from 'node:child_process';
import { cpSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');

rmSync(join(root, 'dist'), { recursive: true, force: true });
execFileSync(process.execPath, [tsc, '--project', root], { cwd: root, stdio: 'inherit' });

// tsc emits a JSON file only when a module imports it; manifests and schemas are read at run time.
for (const entry of readdirSync(join(root, 'plugins'), { recursive: true })) {
  if (entry.endsWith('.json')) cpSync(join(root, 'plugins', entry), join(root, 'dist', 'plugins', entry));
}
