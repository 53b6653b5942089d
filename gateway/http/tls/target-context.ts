// The TLS contexts toward targets: made once per way of speaking, not once per connection.
// Must not open a connection.
import { createSecureContext, type SecureContext } from 'node:tls';
import type { TargetTls } from '../../core/ports.ts';
import { MIN_VERSION } from './defaults.ts';

const contexts = new WeakMap<TargetTls, SecureContext>();

/** Gives the context for a way of speaking to targets. Ciphers are Node's: targets may be older than what we want of ourselves. */
export function findTargetContext(tls: TargetTls): SecureContext {
  const known = contexts.get(tls);
  if (known) return known;
  const context = createSecureContext({
    minVersion: MIN_VERSION,
    // Whoever names an intermediate, or the target's own certificate, trusts that one and not its root.
    ...(tls.ca === undefined ? {} : { ca: tls.ca, allowPartialTrustChain: true }),
    ...(tls.shown && { cert: tls.shown.certificate, key: tls.shown.privateKey }),
  });
  contexts.set(tls, context);
  return context;
}
