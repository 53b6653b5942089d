// How a load ends: in time or not at all, with a reason that people can act on.
// Must not load anything.
import type { Problem } from '../../core/errors.ts';
import type { LoadedPlugin } from '../../core/pipeline.ts';
import { PackageError } from '../../package/errors.ts';

/** Refuses a load. */
export class LoadRefusal extends Error {
  readonly problem: Problem;

  constructor(code: string, message: string, pointer = '') {
    super(message);
    this.problem = { pointer, code, message };
  }
}

/** Says why a load failed. */
export function toProblem(error: unknown): Problem {
  if (error instanceof LoadRefusal) return error.problem;
  const message = error instanceof Error ? error.message : String(error);
  return { pointer: '', code: error instanceof PackageError ? error.code : 'LOAD_FAILED', message };
}

/** Gives what was loaded in time; what comes later is given back. @throws LoadRefusal LOAD_TIMEOUT */
export async function withinTime<Result>(
  loading: Promise<Result>,
  timeoutMs: number,
  find: (result: Result) => LoadedPlugin,
): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new LoadRefusal('LOAD_TIMEOUT', `not loaded within ${timeoutMs} ms`));
      loading.then((result) => find(result).lease?.release()).catch(() => undefined);
    }, timeoutMs);
  });
  return await Promise.race([loading, late]).finally(() => clearTimeout(timer));
}
