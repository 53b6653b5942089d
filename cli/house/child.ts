// The child's side of `sallyport start`: a process that another leads gets its orders over IPC.
// Must not be taken for granted: `admin` and `gateway` also run alone, and then there is no parent.
import { createDeferred } from '../../gateway/ops/deferred.ts';

/** Goes from the parent to a child. */
export type ToChild =
  | { readonly channel: 'begin'; readonly databaseUrl: string }
  | { readonly channel: 'stop' }
  | { readonly channel: 'end' }
  | { readonly channel: 'reopen' };

/** Goes from a child to the parent. */
export type ToParent = { readonly channel: 'ready'; readonly urls: Readonly<Record<string, string>> };

/** Is the process that leads this one. */
export interface Parent {
  /** Gives the database; the parent says so as soon as it is ready. */
  readonly databaseUrl: Promise<string>;
  /** Resolves when the parent says stop, or is gone. */
  readonly stopped: Promise<void>;
  /** Resolves when the parent says to end at once, with whatever is under way. */
  readonly ended: Promise<void>;
  onReopen(callback: () => void): void;
  /** Tells the parent that this process serves at these URLs. */
  reportReady(urls: Readonly<Record<string, string>>): void;
  /** Lets go of the channel, so that the process can end. */
  close(): void;
}

/** Marks a process that is led; set by the parent, and by nobody else. */
export const LED_MARK = 'SALLYPORT_LED';

/** Finds the parent of this process; undefined when it runs alone. */
export function findParent(environment: Readonly<Record<string, string | undefined>>): Parent | undefined {
  // Process managers open an IPC channel too; only ours says begin and stop.
  if (environment[LED_MARK] !== '1' || process.send === undefined) return undefined;

  const reopenCallbacks: (() => void)[] = [];
  const { promise: databaseUrl, resolve: begin } = createDeferred<string>();
  const { promise: stopped, resolve: stop } = createDeferred<void>();
  const { promise: ended, resolve: end } = createDeferred<void>();
  process.on('message', (message: ToChild) => {
    if (message.channel === 'begin') begin(message.databaseUrl);
    else if (message.channel === 'stop') stop();
    else if (message.channel === 'end') end();
    else for (const callback of reopenCallbacks) callback();
  });
  process.once('disconnect', () => stop());

  return {
    databaseUrl,
    stopped,
    ended,
    onReopen: (callback) => void reopenCallbacks.push(callback),
    reportReady: (urls) => {
      const message: ToParent = { channel: 'ready', urls };
      if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
    },
    close: () => {
      if (process.connected) process.disconnect();
    },
  };
}
