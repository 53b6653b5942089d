// Connections to targets over TLS.
// Must not speak HTTP.
import { isIP, type LookupFunction } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import type { TargetAddress } from '../../core/ports.ts';
import { findTargetContext } from '../tls/target-context.ts';

/** Opens a connection on which one protocol is offered by ALPN; whether it was agreed on is for the caller to see. */
export function openSecure(
  { host, port, tls }: TargetAddress,
  lookup: LookupFunction,
  protocol: 'http/1.1' | 'h2',
): TLSSocket {
  // An address is no server name; RFC 6066 section 3.
  const servername = tls?.serverName ?? (isIP(host) === 0 ? host : '');
  const socket = connect({
    host,
    port,
    lookup,
    servername,
    ...(tls && { secureContext: findTargetContext(tls) }),
    rejectUnauthorized: tls?.verify ?? true,
    ALPNProtocols: [protocol],
  });
  socket.setNoDelay(true);
  return socket;
}
