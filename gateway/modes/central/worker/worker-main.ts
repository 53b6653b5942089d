// The file that a worker process runs.
// Must not hold more than the call, and what V8 must know before there is traffic.
import { setFlagsFromString } from 'node:v8';
import { runWorker } from './worker.ts';

// Where V8 sees that most of what a line of code made outlived a scavenge, as in a burst of requests that wait for their
// upstream, it makes the next ones old from the start, for good. One part of a request that is old keeps all of it until
// the next full collection: every request is then copied twice, and costs up to twice the CPU.
setFlagsFromString('--no-allocation-site-pretenuring');

runWorker();
