// What the thread that cuts hooks and the thread that runs them tell each other.
// Must not hold behaviour.
import { CELLS } from '../../../../core/hooks/watch.ts';

/** Cell with the number of the last question that the thread which runs hooks has answered. */
export const ANSWERED: number = CELLS;
/** How many cells both threads share: those of the core, and one more. */
export const SHARED_CELLS: number = CELLS + 1;

/** Is what the thread is started with. */
export interface CutterData {
  readonly cells: Int32Array;
  /** Id that the system gives the thread which runs hooks: on Linux that of its process. */
  readonly mainThread: number;
  /** URLs of the folders that hold folders of plugins, with a slash at the end. */
  readonly folders: readonly string[];
}

/** Goes to the thread that runs hooks. */
export type FromCutter =
  /** The hook of this number was cut, or returned at the last moment; told again until it is dealt with. */
  | { readonly kind: 'cut'; readonly number: number }
  /** Asks whether the event loop turns. */
  | { readonly kind: 'question'; readonly number: number }
  /** Code of a plugin was cut that nobody waited for in this turn, such as a hook after an await. */
  | { readonly kind: 'holder'; readonly plugin: string; readonly version: string | undefined }
  /** No hook can be cut here. */
  | { readonly kind: 'unable'; readonly reason: string };
