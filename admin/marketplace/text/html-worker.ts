// Renders one text in a thread of its own: a text that is made to be slow or deep must hold up nobody.
// Must not be imported; render.ts starts it.
import { parentPort, workerData } from 'node:worker_threads';
import { renderMarkdown } from './html.ts';

parentPort?.postMessage(renderMarkdown((workerData as { readonly markdown: string }).markdown));
