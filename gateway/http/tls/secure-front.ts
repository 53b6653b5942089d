// TLS toward clients as a whole: certificates, handshakes, their counts.
// Must not listen: a listener hands its connections over.
import type { Metrics } from '../../core/ports.ts';
import { Deadlines } from '../message/deadlines.ts';
import { type HandshakeResult, Handshakes } from './handshakes.ts';
import { createSecureHosts, type SecureHosts } from './secure-hosts.ts';

/** Is what TLS toward clients is made of. */
export interface SecureFrontOptions {
  /** Protocols offered by ALPN, the preferred first. */
  readonly alpn: readonly string[];
  readonly metrics: Metrics;
  /** Longest handshake, in milliseconds; 10 000 when absent. */
  readonly timeoutMs?: number;
  /** Most handshakes under way at once; 2 000 when absent. */
  readonly maxPending?: number;
}

/** Is TLS toward clients. */
export interface SecureFront {
  readonly hosts: SecureHosts;
  readonly handshakes: Handshakes;
  close(): void;
}

/** How often deadlines of handshakes are looked at. */
const TICK_MS = 200;

/** Makes it; there are no certificates yet. */
export function createSecureFront({ alpn, metrics, ...bounds }: SecureFrontOptions): SecureFront {
  const family = metrics.counter('sallyport_tls_handshakes_total', 'TLS handshakes of clients, by how they ended.', [
    'result',
  ]);
  const deadlines = new Deadlines(TICK_MS);
  const hosts = createSecureHosts({
    alpn,
    onSecure: (socket) => handshakes.takeSecure(socket),
    onFailed: (error, socket) => handshakes.takeFailure(error, socket),
  });
  const handshakes = new Handshakes({
    hosts,
    deadlines,
    ...bounds,
    count: (result: HandshakeResult) => family.series(result).add(1),
  });
  return {
    hosts,
    handshakes,
    close() {
      handshakes.close();
      deadlines.close();
    },
  };
}
