// What a check of a review says.
// Must not hold a check.

/** Names the checks, in the order in which a review shows them. */
export type CheckName =
  | 'package'
  | 'configSchema'
  | 'size'
  | 'imports'
  | 'secrets'
  | 'engine'
  | 'namespace'
  | 'permissions'
  | 'signature'
  | 'fixtures';

/** Is what one check found; `failed` blocks the approval, `warned` is for the reviewer to judge. */
export interface Check {
  readonly name: CheckName;
  readonly result: 'passed' | 'warned' | 'failed';
  readonly detail: string;
}

/** Longest detail, in characters: a package must not be able to fill the database with what is wrong with it. */
const MAX_DETAIL = 1000;

/** Builds a check that found nothing wrong. */
export function passed(name: CheckName, detail: string): Check {
  return { name, result: 'passed', detail: clip(detail) };
}

/** Builds a check that the reviewer should look at. */
export function warned(name: CheckName, detail: string): Check {
  return { name, result: 'warned', detail: clip(detail) };
}

/** Builds a check that blocks the approval. */
export function failed(name: CheckName, detail: string): Check {
  return { name, result: 'failed', detail: clip(detail) };
}

function clip(text: string): string {
  return text.length > MAX_DETAIL ? `${text.slice(0, MAX_DETAIL - 3)}...` : text;
}
