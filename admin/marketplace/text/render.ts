// Gives README and CHANGELOG as text and as HTML that a console may show.
// Must not parse Markdown in this thread.
import { createHash } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { AdminError } from '../../errors.ts';
import { createQueue } from '../../queue.ts';

/** Longest text that is rendered, in characters; a longer one is shown as it is. */
const MAX_RENDERED = 256 * 1024;

/** Longest time one text may take, in milliseconds; the usual one takes a few. */
const RENDER_TIMEOUT_MS = 2_000;

/** Texts whose HTML is remembered. */
const MAX_REMEMBERED = 64;

/** Is a text of a package, and its HTML: every tag in it is ours. */
export interface RenderedText {
  readonly text: string;
  readonly html: string;
}

/** Renders texts, each once as long as it is remembered. */
export type RenderText = (text: string) => Promise<RenderedText>;

/** Builds the renderer. */
export function createRenderer(): RenderText {
  const remembered = new Map<string, string>();
  const inTurn = createQueue({
    atOnce: 1,
    maxWaiting: 64,
    refuse: () => new AdminError('TOO_MANY_WRITES', 'Too many texts are waiting to be rendered; try again.'),
  });
  return async (text) => {
    if (text.length > MAX_RENDERED) return { text, html: asPlain(text) };
    const key = createHash('sha256').update(text).digest('base64');
    const html = remembered.get(key) ?? (await inTurn(() => render(text)));
    remembered.delete(key);
    remembered.set(key, html);
    const [oldest] = remembered.keys();
    if (remembered.size > MAX_REMEMBERED && oldest !== undefined) remembered.delete(oldest);
    return { text, html };
  };
}

/** Renders in a thread; a text that does not render in time and memory is shown as it is. */
function render(markdown: string): Promise<string> {
  return new Promise((resolve) => {
    // The compiled name: a URL in a string is not rewritten by the compiler.
    const worker = new Worker(new URL('./html-worker.js', import.meta.url), {
      workerData: { markdown },
      resourceLimits: { maxOldGenerationSizeMb: 128, stackSizeMb: 4 },
      execArgv: [],
      env: {},
    });
    const finish = (html: string): void => {
      clearTimeout(timer);
      resolve(html);
      void worker.terminate();
    };
    const timer = setTimeout(() => finish(asPlain(markdown)), RENDER_TIMEOUT_MS);
    worker.once('message', finish);
    worker.once('error', () => finish(asPlain(markdown)));
    worker.once('exit', () => finish(asPlain(markdown)));
  });
}

function asPlain(text: string): string {
  return `<pre>${text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')}</pre>\n`;
}
