// The end of a long-running command: SIGTERM or SIGINT asks for it, a second one demands it.
// Must not end the process itself except on that demand.
import type { Parent } from './child.ts';

const EXIT_AT_ONCE = 1;

/** Is how a long-running command learns that it should end. */
export interface StopRequest {
  /** Resolves at the first signal, or when the parent says so or is gone. */
  readonly stopped: Promise<void>;
  /** Lets go of the signals. */
  close(): void;
}

/** Listens for the end. At a second signal, or when the parent demands it, `endNow` runs and the process exits with 1. */
export function awaitStop(parent: Parent | undefined, endNow: () => unknown): StopRequest {
  let stop: () => void = () => undefined;
  const asked = new Promise<void>((resolve) => {
    stop = resolve;
  });
  const exit = (): never => process.exit(EXIT_AT_ONCE);
  const end = (): void => void Promise.resolve(endNow()).then(exit, exit);
  void parent?.ended.then(end);
  let count = 0;
  const onSignal = (): void => {
    count++;
    if (count === 1) stop();
    // A terminal's Ctrl-C reaches the whole group: of a led process only the parent may say now.
    else if (parent === undefined) end();
  };
  const onInterrupt = (): void => {
    if (parent === undefined) onSignal();
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onInterrupt);
  return {
    stopped: parent === undefined ? asked : Promise.race([asked, parent.stopped]),
    close: () => {
      process.off('SIGTERM', onSignal);
      process.off('SIGINT', onInterrupt);
    },
  };
}
