// The port through which the engine gets the code of installs.
// Must not know files, signatures or sandboxes: whoever implements it does.
import type { Problem } from '../errors.ts';
import type { Install } from '../model.ts';
import type { LoadedPlugin } from '../pipeline.ts';

/** Says what became of loading an install. */
export interface LoadedInstall {
  /**
   * Is the version that was wanted, lent once to the caller; undefined = it cannot run, and `problem` says why. With both, it is
   * the version on trial beside it that cannot.
   */
  readonly loaded: LoadedPlugin | undefined;
  readonly problem: Problem | undefined;
  /** Says whether the version that runs already may go on: not when it was revoked. */
  readonly mayGoOn: boolean;
  /** Only where neither is so, and the fail policy is `previous`: the version before, lent once to the caller. */
  readonly instead?: LoadedPlugin;
}

/** Loads installs. */
export interface PluginSource {
  /**
   * Verifies and loads what is pinned, beside `running`, the version in force. Called again for the same pin it gives the
   * same code, after verifying it again. Never rejects, and always ends within seconds.
   */
  load(install: Install, running: LoadedPlugin | undefined): Promise<LoadedInstall>;
}
