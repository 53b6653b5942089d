// Merges a patch into a JSON value.
// Must not know what the value is.
import { isRecord } from './read.ts';

/** Merges `patch` into `target`: null removes, objects merge, all else replaces. @see RFC 7396 */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return patch;
  const merged: Record<string, unknown> = isRecord(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else merged[key] = mergePatch(merged[key], value);
  }
  return merged;
}
