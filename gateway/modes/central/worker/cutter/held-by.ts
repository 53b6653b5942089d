// Whose code holds a thread, read off its stack while it stands still: for what runs after an await, which no mark names.
// Must not guess: where no plugin is on the stack, nobody is cut.
import type { Session } from 'node:inspector';
import { PACKAGE_URL } from '../../../../sandbox/native.ts';

/** A thread that does not stop by then waits for the system: it cannot be cut. */
const STOP_LIMIT_MS = 1_000;
/** Steps that are taken to find out whose turn it is, where it stands between two of them. */
const MAX_STEPS = 20;
/** A set-up has its own limit, and a revision waits for it. */
const SET_UP = '/core/setup/';

/** Names a plugin; the version is undefined where a folder has but one. */
export interface Holder {
  readonly plugin: string;
  readonly version: string | undefined;
}

/** Finds the plugin whose code is innermost on a stack. `folders` are URLs of folders of plugins, with a slash at the end. */
export function findHolder(stack: readonly string[], folders: readonly string[]): Holder | undefined {
  if (stack.some((url) => url.includes(SET_UP))) return undefined;
  for (const url of stack) {
    if (url.startsWith(PACKAGE_URL)) {
      const [plugin = '', version] = url.slice(PACKAGE_URL.length).split('@');
      return { plugin, version };
    }
    const folder = folders.find((one) => url.startsWith(one));
    if (folder !== undefined) {
      return { plugin: decodeURIComponent(url.slice(folder.length).split('/')[0] ?? ''), version: undefined };
    }
  }
  return undefined;
}

/** Is how a thread is stopped, looked at and cut. */
export interface Inspection {
  readonly session: Session;
  readonly folders: readonly string[];
  /** Says, once the thread stands still, whether it is still held. */
  isHeld(): boolean;
  /** Hears whose code was cut; undefined = none was. */
  onDone(holder: Holder | undefined): void;
}

/** Stops the thread that the session is connected to, and cuts what it runs if that is a plugin's code. Ends the session. */
export function cutHolder({ session, folders, isHeld, onDone }: Inspection): void {
  const urls = new Map<string, string>();
  let isOver = false;
  let steps = 0;
  const end = (holder: Holder | undefined): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    session.disconnect();
    onDone(holder);
  };
  const timer = setTimeout(() => end(undefined), STOP_LIMIT_MS);
  session.on('Debugger.scriptParsed', ({ params }) => void urls.set(params.scriptId, params.url));
  session.on('Debugger.paused', ({ params }) => {
    const stack = params.callFrames.map(({ location }) => urls.get(location.scriptId) ?? '');
    const holder = isHeld() ? findHolder(stack, folders) : undefined;
    if (!holder && isHeld() && ++steps < MAX_STEPS) {
      session.post('Debugger.stepInto');
      return;
    }
    if (holder) session.post('Runtime.terminateExecution');
    session.post('Debugger.resume');
    session.post('Debugger.disable', () => end(holder));
  });
  session.post('Debugger.enable');
  session.post('Debugger.pause');
}
