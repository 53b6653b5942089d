// What can be wrong with a package, a signature or what vouches for them: one code each.
// Must not know who asked, nor how it is told to people.

/** Names every reason to refuse; `docs/packages.md` lists the same set. */
export type PackageErrorCode =
  | 'ARCHIVE_INVALID'
  | 'ARCHIVE_TOO_LARGE'
  | 'CONTENT_INVALID'
  | 'MANIFEST_INVALID'
  | 'SCHEMA_INVALID'
  | 'KEY_INVALID'
  | 'ENVELOPE_INVALID'
  | 'STATEMENT_INVALID'
  | 'ROOT_INVALID'
  | 'ROOT_UNTRUSTED'
  | 'ROOT_OUTDATED'
  | 'INDEX_INVALID'
  | 'INDEX_UNTRUSTED'
  | 'INDEX_OUTDATED'
  | 'DIGEST_MISMATCH'
  | 'SIGNATURE_MISSING'
  | 'STATEMENT_MISMATCH'
  | 'NOT_IN_INDEX'
  | 'REVOKED'
  | 'ENGINE_MISMATCH'
  | 'PERMISSIONS_EXCEED_GRANT';

/** Refuses bytes that are not what they should be. The message is for operators and authors, and holds no secret. */
export class PackageError extends Error {
  override readonly name = 'PackageError';
  readonly code: PackageErrorCode;

  constructor(code: PackageErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** Gives what a caught value says. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
