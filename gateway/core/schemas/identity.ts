// JSON Schemas of who calls, and who administers: consumers, credentials, tokens.
// Must not say how secrets are stored: these are shapes that people write.
import { entity, type JsonSchema, listOf, name, serverSet, tags } from './shared.ts';

/** Describes a consumer: who calls. */
export const CONSUMER_SCHEMA: JsonSchema = entity('Consumer', ['username'], {
  username: name,
  customId: { type: 'string', minLength: 1, maxLength: 256, description: 'Your own id for it; unique.' },
  groups: listOf(name, 'Names of the groups it is in.'),
});

const credentialBase: Readonly<Record<string, JsonSchema>> = { tags, ...serverSet };

/** Describes a credential as an admin writes it: one shape per type. */
export const CREDENTIAL_SCHEMAS: Readonly<Record<string, JsonSchema>> = {
  'key-auth': {
    title: 'KeyAuthCredential',
    type: 'object',
    additionalProperties: false,
    required: ['type'],
    properties: {
      type: { const: 'key-auth' },
      key: {
        type: 'string',
        minLength: 8,
        maxLength: 512,
        pattern: '^[\\x21-\\x7e]+$',
        description: '8 to 512 visible ASCII characters without blanks; made when absent.',
      },
      keyHash: { type: 'string', pattern: '^[A-Za-z0-9_-]{43}$', description: 'Instead of key, from an export.' },
      ...credentialBase,
    },
  },
  'basic-auth': {
    title: 'BasicAuthCredential',
    type: 'object',
    additionalProperties: false,
    required: ['type', 'username'],
    properties: {
      type: { const: 'basic-auth' },
      username: {
        type: 'string',
        minLength: 1,
        maxLength: 256,
        pattern: '^[^:\\u0000-\\u001f\\u007f]+$',
        description: 'User name without `:`.',
      },
      password: { type: 'string', minLength: 1, maxLength: 256, description: 'Password, at most 256 characters.' },
      passwordHash: { type: 'string', maxLength: 512, description: 'Instead of password, from an export.' },
      ...credentialBase,
    },
  },
  jwt: {
    title: 'JwtCredential',
    type: 'object',
    additionalProperties: false,
    required: ['type', 'key', 'algorithm'],
    properties: {
      type: { const: 'jwt' },
      key: { type: 'string', minLength: 1, maxLength: 512, description: 'Value of the `iss` claim.' },
      algorithm: {
        enum: [
          'HS256',
          'HS384',
          'HS512',
          'RS256',
          'RS384',
          'RS512',
          'ES256',
          'ES384',
          'ES512',
          'PS256',
          'PS384',
          'PS512',
        ],
      },
      secret: { type: 'string', minLength: 1, maxLength: 4096, description: 'For HS*; at least 32 bytes for HS256.' },
      secretEncoding: { enum: ['utf8', 'base64url'], default: 'utf8' },
      sealedSecret: { type: 'string', maxLength: 8192, description: 'Instead of secret, from an export.' },
      publicKey: { type: 'string', maxLength: 16_384, description: 'PEM, for RS*, PS*, ES*.' },
      ...credentialBase,
    },
  },
};

/** Describes an admin token. */
export const TOKEN_SCHEMA: JsonSchema = {
  title: 'Token',
  type: 'object',
  additionalProperties: false,
  required: ['name', 'role'],
  properties: {
    name,
    role: {
      enum: ['owner', 'editor', 'viewer', 'publisher', 'reviewer'],
      description: 'owner: all; editor: configuration; viewer: reads; publisher and reviewer: the marketplace alone.',
    },
  },
};
