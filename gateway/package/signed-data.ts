// Reads and writes the signed documents: what a payload's bytes mean, checked against a schema.
// Must not decide whose signature suffices.
import type { KeyObject } from 'node:crypto';
import { readJson } from '../core/json.ts';
import type { JsonSchema } from '../core/schemas.ts';
import { buildValidator, type Validator } from '../core/validate.ts';
import { writeCanonicalJson } from './canonical.ts';
import { type Envelope, readPayload, signEnvelope } from './dsse.ts';
import { PackageError, type PackageErrorCode, reasonOf } from './errors.ts';

/** Describes one kind of signed document. */
export interface SignedKind {
  readonly payloadType: string;
  readonly schema: JsonSchema;
  /** Refuses what is not one. */
  readonly code: PackageErrorCode;
}

/** Describes SHA-256 in lower-case hex. */
export const digest: JsonSchema = { type: 'string', pattern: '^[0-9a-f]{64}$' };
/** Describes a time in UTC. */
export const time: JsonSchema = {
  type: 'string',
  pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(\\.\\d{1,3})?Z$',
};
/** Describes a version of a plugin. */
export const VERSION_PATTERN = '^\\d{1,9}\\.\\d{1,9}\\.\\d{1,9}$';
/** Describes the keys of somebody. */
export const keyEntries: JsonSchema = {
  type: 'array',
  maxItems: 16,
  items: {
    type: 'object',
    additionalProperties: false,
    required: ['keyid', 'publicKey'],
    properties: { keyid: digest, publicKey: { type: 'string', maxLength: 200 } },
  },
};

// Compiling a schema takes milliseconds; each is compiled once, when first needed.
const validators = new WeakMap<SignedKind, Validator>();

/** Reads what an envelope says; who signed it is another question. @throws PackageError ENVELOPE_INVALID, or the kind's code */
export function readSigned(kind: SignedKind, envelope: Envelope): unknown {
  const payload = readPayload(envelope, kind.payloadType);
  try {
    return checkSigned(kind, readJson(payload));
  } catch (cause) {
    if (cause instanceof PackageError) throw cause;
    throw new PackageError(kind.code, reasonOf(cause), { cause });
  }
}

/** Signs data of a kind. @throws PackageError with the kind's code when nobody could read it. */
export function writeSigned(kind: SignedKind, data: unknown, key: KeyObject): Envelope {
  const text = writeCanonicalJson(data);
  checkSigned(kind, JSON.parse(text));
  return signEnvelope(kind.payloadType, Buffer.from(text), key);
}

function checkSigned(kind: SignedKind, value: unknown): unknown {
  const validate = validators.get(kind) ?? buildValidator(kind.schema);
  validators.set(kind, validate);
  const [problem] = validate(value);
  if (problem) throw new PackageError(kind.code, `${problem.pointer || '/'}: ${problem.message}`);
  return value;
}

/** Reads a time. @throws PackageError with `code` when there is no such day or hour. */
export function readTime(text: string, code: PackageErrorCode): number {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new PackageError(code, `${text} is no time`);
  return ms;
}
