// Why a node could not start.
// Must not be used once it serves: from then on troubles are logged and mended.

/** Names what failed: listening as proxy, in clear or over TLS, or as status port, or starting a worker. */
export type KeeperStep = 'proxy' | 'proxyTls' | 'status' | 'start';

/** Ends the start of a node. `code` is the system's, such as EADDRINUSE. */
export class KeeperFailure extends Error {
  override readonly name = 'KeeperFailure';
  readonly step: KeeperStep;
  readonly code: string;

  constructor(step: KeeperStep, code: string, message: string) {
    super(message);
    this.step = step;
    this.code = code;
  }
}

/** Gives any error as the failure of a step. */
export function toFailure(step: KeeperStep, error: unknown): KeeperFailure {
  if (error instanceof KeeperFailure) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'FAILED';
  return new KeeperFailure(step, code, error instanceof Error ? error.message : String(error));
}
