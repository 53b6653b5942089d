// Brings recorded requests of the workers to the control plane.
// Must not hold up anything: what cannot be written soon is dropped, for newer ones come.
import type { Logger } from '../core/ports.ts';
import type { RecordedRequest } from '../core/shadow/recorded.ts';

/** Most requests that wait while others are written. */
const MAX_WAITING = 500;

/** Says where they go. */
export interface RecordingsOptions {
  isConnected(): boolean;
  write(requests: readonly RecordedRequest[]): Promise<void>;
  readonly log: Logger;
}

/** Takes recorded requests. */
export interface Recordings {
  take(requests: readonly RecordedRequest[]): void;
}

/** Makes the way to the control plane. */
export function createRecordings({ isConnected, write, log }: RecordingsOptions): Recordings {
  let waiting: RecordedRequest[] = [];
  let isWriting = false;
  const writeAll = async (): Promise<void> => {
    if (isWriting) return;
    isWriting = true;
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      await write(batch).catch((error: unknown) => log.warn('recorded requests were not kept', { error }));
    }
    isWriting = false;
  };
  return {
    take(requests) {
      if (!isConnected()) return;
      waiting = [...waiting, ...requests].slice(-MAX_WAITING);
      void writeAll();
    },
  };
}
