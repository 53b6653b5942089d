// Sees the DATA of a stream as it comes, where 'data' tells only of what is read.
// Must not hold it, nor change what is read.
import type { ServerHttp2Stream } from 'node:http2';
import type { TrafficWatch } from './traffic-watch.ts';

/** Counts what comes on `stream`, also while nobody reads it. Padding is not seen, and so counts as nothing. */
export function countArrivals(stream: ServerHttp2Stream, traffic: TrafficWatch): void {
  const push = stream.push.bind(stream);
  // node:http2 hands each DATA frame to `push` whether or not anybody reads; what holds a client back is its window alone.
  stream.push = (chunk: Buffer | null, encoding) => {
    if (chunk) traffic.countArrived(chunk.length);
    return push(chunk, encoding);
  };
}
