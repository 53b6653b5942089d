// Upgraded connections: bytes both ways between client and target, each half closed alone.
// Must not look into what is said: after the switch it is another protocol.
import { GatewayError } from '../errors.ts';
import type { Tunnel } from '../ports.ts';
import { splitList } from './headers.ts';

/** Counts what went which way. */
export interface ByteTally {
  requestBytes: number;
  responseBytes: number;
}

/** Joins two tunnels until one of them breaks or both halves have ended. */
export function splice(client: Tunnel, target: Tunnel, tally: ByteTally): void {
  relay(client, target, (bytes) => {
    tally.requestBytes += bytes;
  });
  relay(target, client, (bytes) => {
    tally.responseBytes += bytes;
  });
}

function relay(from: Tunnel, to: Tunnel, onBytes: (bytes: number) => void): void {
  to.onDrain(() => from.resume());
  from.start({
    write(chunk) {
      onBytes(chunk.length);
      return to.write(chunk);
    },
    end: () => to.end(),
    // A broken side must not look like one that said goodbye.
    fail: () => to.abort(),
  });
}

/** Gives the protocols that an answer names. */
export function findUpgrade(rawHeaders: readonly string[]): string | undefined {
  const at = rawHeaders.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === 'upgrade');
  return at === -1 ? undefined : rawHeaders[at + 1];
}

/**
 * Gives the protocol that a target switched to.
 * @throws UPSTREAM_INVALID_RESPONSE when it is none of those it was asked for. @see RFC 9110 section 7.8
 */
export function findProtocol(rawHeaders: readonly string[], asked: string): string {
  const answered = findUpgrade(rawHeaders) ?? '';
  const offers = splitList(asked.toLowerCase());
  if (splitList(answered.toLowerCase()).every((protocol) => offers.includes(protocol))) return answered;
  throw new GatewayError('UPSTREAM_INVALID_RESPONSE', 'the upstream switched to a protocol it was not asked for');
}
