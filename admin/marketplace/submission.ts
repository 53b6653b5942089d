// Reads what a publisher sends: a package and the envelope over its statement, which must be about that package.
// Must not ask who sends it, nor run what is inside.
import { readArchive } from '../../gateway/package/archive.ts';
import { type Envelope, readEnvelope } from '../../gateway/package/dsse.ts';
import { PackageError } from '../../gateway/package/errors.ts';
import { openPackage, type PluginPackage } from '../../gateway/package/package.ts';
import { compareStatement, readStatement } from '../../gateway/package/statement.ts';
import { AdminError } from '../errors.ts';

/** Is a package with the envelope that is about it. */
export interface Submission {
  readonly bytes: Buffer;
  readonly package: PluginPackage;
  /** Every file by name. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly envelope: Envelope;
  /** `namespace/name`. */
  readonly id: string;
  readonly namespace: string;
}

/** Opens a package and its envelope. @throws PACKAGE_REFUSED pointing at the one that is wrong */
export function openSubmission(bytes: Buffer, envelopeData: unknown): Submission {
  const [opened, files] = refusing('/package', () => [openPackage(bytes), readArchive(bytes)] as const);
  const envelope = refusing('/envelope', () => readEnvelope(envelopeData));
  refusing('/envelope/payload', () => {
    const differing = compareStatement(readStatement(envelope), opened);
    if (differing.length > 0) {
      const message = `the statement is about another package: it differs in ${differing.slice(0, 10).join(', ')}`;
      throw new PackageError('STATEMENT_MISMATCH', message);
    }
  });
  const id = opened.manifest.name;
  const [namespace = ''] = id.split('/');
  return { bytes, package: opened, files, envelope, id, namespace };
}

/** Decodes base64 in the one form it has for some bytes. @throws PACKAGE_REFUSED */
export function decodeBase64(text: string, pointer: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  // Node skips what is not base64; two texts must not mean the same bytes.
  if (bytes.toString('base64') !== text) throw refuse(pointer, 'expected base64');
  return bytes;
}

function refusing<T>(pointer: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof PackageError) throw refuse(pointer, error.message, error.code);
    throw error;
  }
}

/** Builds the refusal of a part of what was sent; `reason` is the code of what found it. */
export function refuse(pointer: string, message: string, reason?: string): AdminError {
  return new AdminError('PACKAGE_REFUSED', `${pointer}: ${message}.`, {
    problems: [{ pointer, message }],
    ...(reason === undefined ? {} : { facts: { reason } }),
  });
}
