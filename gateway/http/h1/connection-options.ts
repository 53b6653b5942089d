// What the connections of one listener share.
// Must not hold the state of any of them.
import type { RequestHandler, TlsFacts } from '../../core/ports.ts';
import type { Deadlines } from '../message/deadlines.ts';
import type { WireTally } from '../wire-tally.ts';

/** Is what is known of a client before it says anything in HTTP. */
export interface ConnectionFacts {
  readonly remoteAddress: string;
  readonly localPort: number;
  /** Undefined = in clear. */
  readonly tls: TlsFacts | undefined;
}

/** Is what connections of one listener share. Times in milliseconds. */
export interface ConnectionOptions {
  readonly handler: RequestHandler;
  readonly deadlines: Deadlines;
  /** Watches connections that are not read from; looks more often. */
  readonly pauses: Deadlines;
  readonly tally: WireTally;
  readonly headerTimeoutMs: number;
  readonly keepAliveMs: number;
  readonly bodyIdleMs: number;
  /** The listener drains: what is answered from now on is the last on its connection. */
  isDraining(): boolean;
}
