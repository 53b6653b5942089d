// What our TLS speaks, to clients and to targets.
// Must not depend on a certificate.

/** Oldest version spoken. TLS 1.0 and 1.1 are gone: RFC 8996. */
export const MIN_VERSION = 'TLSv1.2';

/** Forward secrecy and authenticated encryption only; the first three are TLS 1.3's. @see RFC 9325 section 4.2 */
export const CIPHERS: string = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');
