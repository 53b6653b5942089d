// Signs and verifies envelopes as DSSE describes them. @see https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
// Must not look into a payload: whoever does asks here first who signed it.
import { type KeyObject, sign, verify } from 'node:crypto';
import { PackageError } from './errors.ts';
import { keyIdOf } from './keys.ts';

/** Longest payload: an index of tens of thousands of versions. */
const MAX_PAYLOAD_BYTES = 8_388_608;
/** Most signatures that are looked at: each costs a verification. */
const MAX_SIGNATURES = 16;
const SIGNATURE_BYTES = 64;

/** Is a signed payload. The key id is a hint where to look, and proves nothing; tools that leave it out have it empty. */
export interface Envelope {
  readonly payloadType: string;
  readonly payload: string;
  readonly signatures: readonly { readonly keyid: string; readonly sig: string }[];
}

/** Builds the bytes that are signed, in which neither type nor payload can pass for a part of the other. */
export function buildPreAuthEncoding(payloadType: string, payload: Uint8Array): Buffer {
  const head = `DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `;
  return Buffer.concat([Buffer.from(head), payload]);
}

/** Signs a payload. */
export function signEnvelope(payloadType: string, payload: Uint8Array, key: KeyObject): Envelope {
  return addSignature({ payloadType, payload: Buffer.from(payload).toString('base64'), signatures: [] }, key);
}

/** Adds one more signature; one that the same key made before is replaced. @throws PackageError ENVELOPE_INVALID */
export function addSignature(envelope: Envelope, key: KeyObject): Envelope {
  const { payloadType, payload, signatures } = readEnvelope(envelope);
  const keyid = keyIdOf(key);
  const sig = sign(null, buildPreAuthEncoding(payloadType, readBase64(payload)), key).toString('base64');
  const others = signatures.filter((one) => one.keyid !== keyid);
  if (others.length >= MAX_SIGNATURES) throw invalid(`more than ${MAX_SIGNATURES} signatures`);
  return { payloadType, payload, signatures: [...others, { keyid, sig }] };
}

/**
 * Gives the ids of those of `keys` that signed. A signature by nobody we know does not count, and does no harm either.
 * @throws PackageError ENVELOPE_INVALID
 */
export function verifySignatures(envelope: Envelope, keys: ReadonlyMap<string, KeyObject>): ReadonlySet<string> {
  const { payloadType, payload, signatures } = readEnvelope(envelope);
  const signed = buildPreAuthEncoding(payloadType, readBase64(payload));
  const accepted = new Set<string>();
  for (const { keyid, sig } of signatures) {
    const bytes = readBase64(sig);
    const candidates = keyid === '' ? [...keys] : [...keys].filter(([id]) => id === keyid);
    for (const [id, key] of candidates) {
      // Ids come out as the caller gave them, whatever the envelope calls the key.
      if (bytes.length === SIGNATURE_BYTES && verify(null, signed, key, bytes)) accepted.add(id);
    }
  }
  return accepted;
}

/** Gives the bytes of the payload when it is of the type asked for. Says nothing of who signed it. @throws PackageError ENVELOPE_INVALID */
export function readPayload(envelope: Envelope, payloadType: string): Buffer {
  const { payload, payloadType: found } = readEnvelope(envelope);
  if (found !== payloadType) throw invalid(`expected a payload of type ${payloadType}`);
  return readBase64(payload);
}

/**
 * Reads an envelope from data: its fields and no other, so that nothing unsigned rides along.
 * @throws PackageError ENVELOPE_INVALID
 */
export function readEnvelope(value: unknown): Envelope {
  const { payloadType, payload, signatures } = readFields(value, ['payloadType', 'payload', 'signatures']);
  if (typeof payloadType !== 'string' || typeof payload !== 'string' || !Array.isArray(signatures)) {
    throw invalid('expected payloadType, payload and signatures');
  }
  // Four characters of base64 for three bytes.
  if (payload.length > (MAX_PAYLOAD_BYTES * 4) / 3 + 4) throw invalid(`larger than ${MAX_PAYLOAD_BYTES} bytes`);
  if (signatures.length > MAX_SIGNATURES) throw invalid(`more than ${MAX_SIGNATURES} signatures`);
  readBase64(payload);
  return { payloadType, payload, signatures: signatures.map(readSignature) };
}

function readSignature(value: unknown): Envelope['signatures'][number] {
  const { keyid = '', sig } = readFields(value, ['keyid', 'sig']);
  if (typeof keyid !== 'string' || typeof sig !== 'string') throw invalid('a signature has keyid and sig');
  readBase64(sig);
  return { keyid, sig };
}

function readFields(value: unknown, names: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('expected an object');
  const stranger = Object.keys(value).find((name) => !names.includes(name));
  if (stranger !== undefined) throw invalid(`unknown field ${JSON.stringify(stranger.slice(0, 100))}`);
  return value as Readonly<Record<string, unknown>>;
}

/** Reads base64 in either alphabet, as the protocol asks, in the one spelling that each has for the same bytes. */
function readBase64(text: string): Buffer {
  const encoding = /[-_]/.test(text) ? 'base64url' : 'base64';
  const bytes = Buffer.from(text, encoding);
  const padding = encoding === 'base64url' && text.endsWith('=') ? '='.repeat((3 - (bytes.length % 3)) % 3) : '';
  if (bytes.toString(encoding) + padding !== text) throw invalid('expected base64');
  return bytes;
}

function invalid(message: string): PackageError {
  return new PackageError('ENVELOPE_INVALID', `the envelope is invalid: ${message}`);
}
