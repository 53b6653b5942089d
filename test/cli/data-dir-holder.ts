// Is the other process of data-dir.test.ts: opens the directory, tells how it went, and holds it until it is killed.
// Must not outlive the test: it ends when its parent is gone.
import { openDataDir } from '../../cli/data-dir.ts';

try {
  await openDataDir(process.argv[2] ?? '');
  // A listener keeps the process alive as long as the channel to the parent is open.
  process.on('message', () => undefined);
  process.send?.('held');
} catch (error) {
  process.send?.(error instanceof Error ? error.message : String(error), () => process.disconnect());
}
