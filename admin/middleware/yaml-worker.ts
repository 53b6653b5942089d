// Turns YAML into JSON text and back, in a thread of its own: the parser is recursive and slow, and must not hold up others.
// Must not be imported; yaml.ts starts it.
import { parentPort, workerData } from 'node:worker_threads';
import { parseDocument, stringify } from 'yaml';

/** Most uses of aliases: each may repeat what it names, so they multiply. */
const MAX_ALIASES = 100;

interface Task {
  readonly direction: 'parse' | 'print';
  readonly text: string;
}

function refuseUnwritable(_key: string, value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new RangeError('a number out of range');
  return value;
}

function parseYaml(text: string): string {
  const parsed = parseDocument(text, { version: '1.2', schema: 'core', uniqueKeys: true, customTags: [] });
  const [fault] = [...parsed.errors, ...parsed.warnings];
  if (fault !== undefined) throw fault;
  return JSON.stringify(parsed.toJS({ maxAliasCount: MAX_ALIASES }) ?? null, refuseUnwritable);
}

function run(task: Task): { readonly text: string } | { readonly fault: string } {
  try {
    const text = task.direction === 'parse' ? parseYaml(task.text) : stringify(JSON.parse(task.text), { lineWidth: 0 });
    return { text };
  } catch (error) {
    const [message = ''] = String(error instanceof Error ? error.message : error).split('\n');
    return { fault: message.replace(/:$/, '') };
  }
}

parentPort?.postMessage(run(workerData as Task));
