// Cuts hooks that do not return the thread: starts the thread that does it, and deals with what it leaves behind.
// Must not keep the process alive, nor be needed: without it, the keeper ends a worker that is held.
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { HookWatch } from '../../../../core/hooks/watch.ts';
import type { Logger } from '../../../../core/ports.ts';
import type { ToKeeper } from '../../messages.ts';
import { ANSWERED, type CutterData, type FromCutter, SHARED_CELLS } from './messages.ts';

/** Is what a cutter needs, and whom it tells. */
export interface CutterOptions {
  readonly log: Logger;
  /** Folders that hold folders of plugins. */
  readonly folders: readonly string[];
  /** Tells the keeper: at once of a binding that was set aside, and of what may have left this process half broken. */
  send(message: ToKeeper): void;
  /** Takes up again what the turn that was cut has left undone. */
  goOn(): void;
}

/** Bounds the memory of the thread, in MiB. */
const MEMORY = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 };

/** Starts the thread; the engine is to note its hooks in what this gives. */
export function startCutter({ log, folders, send, goOn }: CutterOptions): HookWatch {
  const cells = new Int32Array(new SharedArrayBuffer(SHARED_CELLS * Int32Array.BYTES_PER_ELEMENT));
  const watch = new HookWatch(cells, (report) => send({ channel: 'cut', report }));
  const ail = (reason: string): void => send({ channel: 'ailing', reason });
  const complain = (reason: unknown): void =>
    log.warn('hooks that do not return are not cut here; a worker that is held is replaced', { reason });
  if (!process.features.inspector) {
    complain('this Node is built without its inspector');
    return watch;
  }
  const urls = folders.map((folder) => `${pathToFileURL(resolve(folder)).href}/`);
  const data: CutterData = { cells, mainThread: process.pid, folders: urls };
  const file = new URL('./cutter-thread.js', import.meta.url);
  const thread = new Worker(file, { name: 'cutter', workerData: data, execArgv: [], resourceLimits: MEMORY });
  let dealtWith = 0;
  thread.on('message', (message: FromCutter) => {
    switch (message.kind) {
      case 'question':
        Atomics.store(cells, ANSWERED, message.number);
        break;
      case 'cut':
        if (message.number === dealtWith) return;
        dealtWith = message.number;
        goOn();
        if (watch.finish() === 0) ail('a hook returned in the moment in which it was cut');
        break;
      case 'holder':
        goOn();
        log.error('code of a plugin held the event loop and was cut', { ...message });
        watch.blame(message.plugin, message.version);
        ail('code of a plugin held the event loop and was cut');
        break;
      case 'unable':
        complain(message.reason);
    }
  });
  thread.on('error', complain);
  thread.unref();
  return watch;
}
