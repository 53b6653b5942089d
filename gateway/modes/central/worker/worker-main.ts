// The file that a worker process runs.
// Must not hold more than the call.
import { runWorker } from './worker.ts';

runWorker();
