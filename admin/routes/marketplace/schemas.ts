// JSON Schemas of what people send to the marketplace; OpenAPI shows the same.
// Must not describe answers.
import type { JsonSchema } from '../../../gateway/core/schemas.ts';

/** Largest text of a package in base64: 2 MiB of bytes. */
const MAX_PACKAGE_TEXT = 2_796_204;

const namespace: JsonSchema = {
  type: 'string',
  pattern: '^[a-z0-9][a-z0-9-]{0,63}$',
  description: 'First part of the names of its plugins: lower-case letters, digits, `-`.',
};
const title: JsonSchema = {
  type: 'string',
  minLength: 1,
  maxLength: 80,
  description: 'Name of the publisher for people.',
};
const level: JsonSchema = {
  enum: [0, 1, 2, 3],
  description: 'How well it is verified: 0 not, 1 by e-mail, 2 by domain, 3 as an organisation. Owners say so.',
};
const token: JsonSchema = {
  type: ['string', 'null'],
  maxLength: 128,
  description: 'Name of the token, of role publisher, that publishes here.',
};
const publicKey: JsonSchema = {
  type: 'string',
  minLength: 1,
  maxLength: 1000,
  description: 'Ed25519 public key: PEM, or base64 of its SPKI.',
};
const note: JsonSchema = { type: 'string', minLength: 1, maxLength: 2000 };
const sha256: JsonSchema = { type: 'string', pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of a package, in hex.' };

/** Describes a DSSE envelope. */
export const ENVELOPE_SCHEMA: JsonSchema = {
  title: 'Envelope',
  type: 'object',
  additionalProperties: false,
  required: ['payloadType', 'payload', 'signatures'],
  description: 'DSSE envelope: a payload in base64 and the signatures over it.',
  properties: {
    payloadType: { type: 'string', maxLength: 200 },
    payload: { type: 'string', maxLength: 11_184_812 },
    signatures: {
      type: 'array',
      maxItems: 16,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['sig'],
        properties: { keyid: { type: 'string', maxLength: 200 }, sig: { type: 'string', maxLength: 200 } },
      },
    },
  },
};

function body(title: string, required: readonly string[], properties: JsonSchema): JsonSchema {
  return { title, type: 'object', additionalProperties: false, required, properties };
}

/** Names the bodies. */
export type MarketplaceBody =
  | 'PublisherInput'
  | 'PublisherChange'
  | 'PublisherKeyInput'
  | 'Publication'
  | 'Review'
  | 'StateChange'
  | 'BundleImport';

/** Holds the schemas by the name that routes give in `takes`. */
export const MARKETPLACE_BODIES: Readonly<Record<MarketplaceBody, JsonSchema>> = {
  PublisherInput: body('PublisherInput', ['namespace'], {
    namespace,
    title,
    level,
    token,
    keys: { type: 'array', maxItems: 16, items: publicKey },
  }),
  PublisherChange: body('PublisherChange', [], { title, level, token }),
  PublisherKeyInput: body('PublisherKeyInput', ['publicKey'], {
    publicKey,
    proof: {
      ...ENVELOPE_SCHEMA,
      description: 'Word of a key that the namespace has, over namespace, keyid and createdAt.',
    },
  }),
  Publication: body('Publication', ['package', 'envelope'], {
    package: { type: 'string', minLength: 1, maxLength: MAX_PACKAGE_TEXT, description: 'Base64 of the package.' },
    envelope: ENVELOPE_SCHEMA,
  }),
  Review: body('Review', ['decision'], {
    decision: { enum: ['approve', 'reject'] },
    note: { ...note, description: 'Why; the publisher reads it.' },
    sha256: { ...sha256, description: 'Digest of what was looked at; another package is not decided upon.' },
  }),
  StateChange: body('StateChange', ['state'], {
    state: { enum: ['approved', 'deprecated', 'yanked', 'revoked'] },
    advisory: { ...note, description: 'What users should know. Needed to revoke.' },
  }),
  BundleImport: body('BundleImport', ['bundle'], {
    bundle: body('Bundle', ['contents', 'packages'], {
      contents: ENVELOPE_SCHEMA,
      packages: {
        type: 'array',
        maxItems: 10_000,
        items: body('BundledPackage', ['sha256', 'bytes'], {
          sha256,
          bytes: { type: 'string', maxLength: MAX_PACKAGE_TEXT, description: 'Base64.' },
        }),
      },
    }),
    root: {
      type: 'string',
      minLength: 1,
      maxLength: 16_384,
      description: 'Public key of the root of another marketplace; absent = the root trusted here.',
    },
  }),
};
