// Reads and writes YAML by way of JSON text, so that one strict reader judges both forms.
// Must not parse YAML in this thread.
import { Worker } from 'node:worker_threads';
import { AdminError } from '../errors.ts';
import { createQueue } from '../queue.ts';
import { readJson } from './json.ts';

/** Longest time the conversion of one document may take, in milliseconds. */
const CONVERSION_TIMEOUT_MS = 60_000;

/** Most conversions at a time; each is a thread. */
const MAX_CONVERSIONS = 2;
const inTurn = createQueue({
  atOnce: MAX_CONVERSIONS,
  maxWaiting: 16,
  refuse: () => new AdminError('TOO_MANY_WRITES', 'Too many YAML documents are waiting; try again.'),
});

/**
 * Reads YAML 1.2 (core schema) as strictly as JSON: no custom tags, no duplicate keys, at most 100 aliases.
 *
 * @throws BODY_MALFORMED with what is wrong and where.
 */
export async function readYaml(bytes: Uint8Array): Promise<unknown> {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new AdminError('BODY_MALFORMED', 'The body is not valid UTF-8.', { cause });
  }
  const json = await inTurn(() => convert('parse', text));
  return readJson(new TextEncoder().encode(json));
}

/** Shows a value of JSON as YAML. */
export async function printYaml(value: unknown): Promise<string> {
  return await inTurn(() => convert('print', JSON.stringify(value)));
}

function convert(direction: 'parse' | 'print', text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    // The compiled name: a URL in a string is not rewritten by the compiler.
    const worker = new Worker(new URL('./yaml-worker.js', import.meta.url), {
      workerData: { direction, text },
      resourceLimits: { maxOldGenerationSizeMb: 1024, stackSizeMb: 4 },
      execArgv: [],
      env: {},
    });
    const fail = (why: string, cause?: unknown): void => {
      clearTimeout(timer);
      reject(new AdminError('BODY_MALFORMED', `Not valid YAML: ${why}.`, { cause }));
    };
    const timer = setTimeout(() => {
      fail('it takes too long to read');
      void worker.terminate();
    }, CONVERSION_TIMEOUT_MS);
    worker.once('message', (result: { readonly text?: string; readonly fault?: string }) => {
      clearTimeout(timer);
      if (result.text !== undefined) resolve(result.text);
      else fail(result.fault ?? 'unknown fault');
    });
    // A thread that dies of nesting or memory dies alone.
    worker.once('error', (error) => fail('it is nested too deeply or too large', error));
    worker.once('exit', () => fail('it is nested too deeply or too large'));
  });
}
