// The configuration of jwt as a type.
// Must not hold defaults that the schema can hold.
import type { Algorithm } from 'jsonwebtoken';

/** Says that keys are read from a JSON Web Key Set. */
export interface JwksConfig {
  readonly jwksUrl: string;
  readonly maxAgeSeconds?: number;
  readonly cooldownSeconds?: number;
  readonly consumerClaim?: string;
}

/** Mirrors config.schema.json. */
export interface Config {
  readonly algorithms: readonly Algorithm[];
  readonly keysFrom: 'credentials' | JwksConfig;
  readonly claimsToVerify: readonly ('exp' | 'nbf')[];
  readonly audience: readonly string[];
  readonly issuer: readonly string[];
  readonly clockSkewSeconds: number;
  readonly headerNames: readonly string[];
  readonly queryNames: readonly string[];
  readonly cookieNames: readonly string[];
  readonly hideCredentials: boolean;
  readonly maxTokenBytes: number;
}
