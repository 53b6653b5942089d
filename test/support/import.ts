// Runs an import in this process, as a person would with a file, and gives what was written and told.
// Must not look into the import: only at files, lines and exit codes.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runMain } from '../../cli/main.ts';
import type { Api, Binding, Consumer, Route, Upstream } from '../../gateway/core/model.ts';

type Written<Entity> = Partial<Omit<Entity, 'routes'>> & { readonly [key: string]: unknown };

/** Is a configuration as written. */
export interface Config {
  readonly apis?: readonly (Written<Api> & { readonly routes: readonly Partial<Route>[] })[];
  readonly upstreams?: readonly Written<Upstream>[];
  readonly consumers?: readonly (Written<Consumer> & { readonly credentials?: readonly Record<string, unknown>[] })[];
  readonly bindings?: readonly Written<Binding>[];
  readonly certificates?: readonly Record<string, unknown>[];
}

/** Is how an import ended. */
export interface Imported {
  readonly code: number;
  /** Undefined when nothing was written. */
  readonly config: Config | undefined;
  /** Lines of complaint. */
  readonly told: readonly string[];
  /** Whether `sallyport check` takes what was written. */
  readonly checked: string;
}

/** Runs `sallyport import`, and checks what it wrote with `sallyport check`. */
export async function importFile(
  format: 'kong' | 'openapi',
  source: unknown,
  options: readonly string[] = [],
): Promise<Imported> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-import-'));
  try {
    const file = join(folder, 'source.json');
    await writeFile(file, typeof source === 'string' ? source : JSON.stringify(source));
    const written = await run(['import', format, file, '--format', 'json', ...options], folder);
    const result = join(folder, 'result.json');
    await writeFile(result, written.printed);
    const checked = written.printed === '' ? '' : (await run(['check', result], folder)).complained.join('\n');
    const config = written.printed === '' ? undefined : (JSON.parse(written.printed) as Config);
    return { code: written.code, config, told: written.complained, checked };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Imports one service of Kong with one route, each with what a test adds. */
export function importService(
  service: Record<string, unknown>,
  route: Record<string, unknown> = {},
  rest: Record<string, unknown> = {},
): Promise<Imported> {
  const routes = [{ name: 'r', paths: ['/r'], ...route }];
  return importFile('kong', {
    _format_version: '3.0',
    services: [{ name: 's', url: 'http://s:80', routes, ...service }],
    ...rest,
  });
}

interface Ran {
  readonly code: number;
  readonly printed: string;
  readonly complained: readonly string[];
}

async function run(words: readonly string[], folder: string): Promise<Ran> {
  const printed: string[] = [];
  const complained: string[] = [];
  const code = await runMain(
    words,
    { SALLYPORT_DATA_DIR: join(folder, 'data') },
    { print: (line) => void printed.push(line), complain: (line) => void complained.push(line) },
  );
  return { code, printed: printed.join('\n'), complained };
}
