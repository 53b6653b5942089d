// What nobody catches in a worker, such as a plugin's throw in a timer.
// Must not end the process: others are served by it.
import type { Logger } from '../../../core/ports.ts';
import type { ToKeeper } from '../messages.ts';

/**
 * Logs what nobody catches and says that this process ails: it may be half broken, and goes on serving only until another
 * has taken its place.
 */
export function hearAilments(log: Logger, send: (message: ToKeeper) => void): void {
  const ail = (what: string) => (error: unknown) => {
    log.error(what, { error });
    send({ channel: 'ailing', reason: what });
  };
  process.on('uncaughtException', ail('something was thrown that nobody caught'));
  process.on('unhandledRejection', ail('a promise was rejected that nobody watched'));
}
