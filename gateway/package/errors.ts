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

/** Says of each reason what it means; titles are for people, codes for programs. */
export const PACKAGE_ERRORS: Readonly<Record<PackageErrorCode, string>> = {
  ARCHIVE_INVALID: 'The archive is not in the form that packages have',
  ARCHIVE_TOO_LARGE: 'The archive is larger than a package may be',
  CONTENT_INVALID: 'A file is missing, or one is there that does not belong',
  MANIFEST_INVALID: 'The manifest is invalid',
  SCHEMA_INVALID: 'The config schema is outside of the profile',
  KEY_INVALID: 'A key cannot be read, or is not the one that it is named',
  ENVELOPE_INVALID: 'The envelope of signatures is malformed',
  STATEMENT_INVALID: 'The statement is malformed',
  ROOT_INVALID: 'The root is malformed',
  ROOT_UNTRUSTED: 'Too few of the pinned root keys signed the root',
  ROOT_OUTDATED: 'A newer root was seen before',
  INDEX_INVALID: 'The index is malformed',
  INDEX_UNTRUSTED: 'No index key of the root signed the index',
  INDEX_OUTDATED: 'A newer index was seen before',
  DIGEST_MISMATCH: 'The bytes are not those that were installed or published',
  SIGNATURE_MISSING: 'A signature that the policy requires is missing or does not hold',
  STATEMENT_MISMATCH: 'The package is not the one that was installed or signed for',
  NOT_IN_INDEX: 'The index does not list this version',
  REVOKED: 'This version is revoked',
  ENGINE_MISMATCH: 'The plugin needs another plugin contract',
  PERMISSIONS_EXCEED_GRANT: 'The plugin asks for more than was granted',
};

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
