// Keeps what a client showed in its handshake for whoever asks after Node itself.
// Must not judge it.
import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/** Is the inner side of a TLSSocket, as far as it is touched here. */
interface TlsHandle {
  getPeerX509Certificate?(): unknown;
}

const remembered = new WeakMap<TlsHandle, unknown>();
let isKept = false;

/**
 * Makes certificates of peers come with their issuers, however often they are asked for. Reading one takes its issuers
 * out of what OpenSSL keeps, and some versions (24.21 is one) read it once themselves before anybody else can: then no client
 * whose certificate an intermediate signed could be told from one that nobody vouches for. So the first answer is remembered.
 * Where the inner method is not what it was, nothing is done. @see https://github.com/nodejs/node/issues/65579
 */
export function keepPeerChains(): void {
  if (isKept) return;
  isKept = true;
  const probe = new TLSSocket(new Socket());
  const { _handle: handle } = probe as TLSSocket & { readonly _handle?: TlsHandle | null };
  const prototype: TlsHandle | null = handle ? Object.getPrototypeOf(handle) : null;
  probe.destroy();
  const read = prototype?.getPeerX509Certificate;
  if (!prototype || typeof read !== 'function') return;
  prototype.getPeerX509Certificate = function getPeerX509Certificate(this: TlsHandle): unknown {
    const known = remembered.get(this);
    if (known !== undefined) return known;
    const certificate = read.call(this);
    // None means that there is none yet, too.
    if (certificate !== undefined) remembered.set(this, certificate);
    return certificate;
  };
}
