// JSON Schemas of what TLS is made of: certificates, whom clients and targets are verified by.
// Must not check what PEM holds: that is core/tls.
import { entity, HOST_NAME_PATTERN, type JsonSchema, name } from './shared.ts';

/** Bounds of PEM texts, in characters: a chain of ten, a bundle of authorities, a private key. */
const MAX_CHAIN_LENGTH = 65_536;
const MAX_BUNDLE_LENGTH = 524_288;
const MAX_KEY_LENGTH = 16_384;

const bundle = (description: string): JsonSchema => ({
  type: 'string',
  minLength: 1,
  maxLength: MAX_BUNDLE_LENGTH,
  description,
});
const fact = (description: string): JsonSchema => ({ type: 'string', readOnly: true, description });

/** Describes a certificate with its private key. What is read-only is told in answers and ignored in bodies. */
export const CERTIFICATE_SCHEMA: JsonSchema = entity('Certificate', ['name', 'certificate'], {
  name,
  hosts: {
    type: 'array',
    maxItems: 1000,
    uniqueItems: true,
    items: { type: 'string', pattern: HOST_NAME_PATTERN, maxLength: 253 },
    description: 'Names it is shown for, exact or `*.example.com` (one label); the names in it when absent. [] = none.',
  },
  certificate: {
    type: 'string',
    minLength: 1,
    maxLength: MAX_CHAIN_LENGTH,
    description: 'PEM: the leaf first, then the issuer of each.',
  },
  privateKey: {
    type: 'string',
    minLength: 1,
    maxLength: MAX_KEY_LENGTH,
    writeOnly: true,
    description: 'PEM, not encrypted: RSA of 2048 bits or more, P-256, P-384, P-521, Ed25519. Stays when absent.',
  },
  sealedPrivateKey: {
    type: 'string',
    maxLength: 2 * MAX_KEY_LENGTH,
    writeOnly: true,
    description: 'Instead of privateKey, from an export.',
  },
  subject: fact('Whom it names.'),
  issuer: fact('Who issued it.'),
  serial: fact('Its serial number, in hex.'),
  notBefore: fact('RFC 3339 time from which it holds.'),
  notAfter: fact('RFC 3339 time until which it holds.'),
  fingerprint256: fact('SHA-256 of it.'),
  warning: fact('What an operator should know: it expires soon, or has expired.'),
});

/** Describes what an api wants to know of who connects. */
export const clientCertificatePolicy: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['ca'],
  description: 'Asks clients for a certificate. Absent = off.',
  properties: {
    mode: {
      enum: ['off', 'optional', 'required'],
      default: 'required',
      description: '`optional` lets clients without one pass; one that none of `ca` issued never does.',
    },
    ca: bundle('PEM: the authorities whose clients pass, roots included; at most 50.'),
    forward: {
      type: 'boolean',
      default: false,
      description: 'Tells the upstream, in Client-Cert and X-Client-Cert-*; clients cannot set these.',
    },
  },
};

/** Describes TLS toward the targets of an upstream. */
export const upstreamTls: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  description: 'TLS toward the targets.',
  properties: {
    verify: { type: 'boolean', default: true, description: 'Verifies the certificate.' },
    serverName: { type: 'string', pattern: '^[A-Za-z0-9_.-]{1,253}$', description: 'Server name to send and verify.' },
    ca: bundle('PEM: the only certificates that targets are verified by; the usual authorities when absent.'),
    clientCertificate: {
      type: 'object',
      additionalProperties: false,
      required: ['name'],
      description: 'Certificate that is shown to targets.',
      properties: { name },
    },
  },
};
