// A diff of the admin REST as text that a person reads.
// Must not compute one.

interface FieldDiff {
  readonly pointer: string;
  readonly before?: unknown;
  readonly after?: unknown;
}

interface EntityDiff {
  readonly kind: string;
  readonly id: string;
  readonly name?: string;
  readonly action: 'create' | 'update' | 'delete';
  readonly diff: readonly FieldDiff[];
}

/** Is what PUT /v1/config answers. */
export interface DiffAnswer {
  readonly isDryRun?: boolean;
  readonly counts: Readonly<Record<'create' | 'update' | 'delete', number>>;
  readonly changes: readonly EntityDiff[];
}

const SIGNS = { create: '+', update: '~', delete: '-' } as const;
/** A value longer than this is cut: the line is for a glance. */
const MAX_VALUE_LENGTH = 100;

/** Writes one line for each entity, and one below it for each field that changed. */
export function describeDiff({ isDryRun = false, counts, changes }: DiffAnswer): string {
  const total = counts.create + counts.update + counts.delete;
  if (total === 0) return 'Nothing to change.';
  const lines = changes.flatMap((change) => [
    `${SIGNS[change.action]} ${change.kind} ${change.name ?? change.id}`,
    ...(change.action === 'update' ? change.diff.map(describeField) : []),
  ]);
  if (total > changes.length) lines.push(`... and ${total - changes.length} more`);
  const summary = `${counts.create} created, ${counts.update} updated, ${counts.delete} deleted`;
  return [...lines, isDryRun ? `Would be ${summary}; nothing was changed.` : `${summary}.`].join('\n');
}

function describeField({ pointer, before, after }: FieldDiff): string {
  return `    ${pointer}: ${show(before)} -> ${show(after)}`;
}

function show(value: unknown): string {
  const text = value === undefined ? '(none)' : JSON.stringify(value);
  return text.length > MAX_VALUE_LENGTH ? `${text.slice(0, MAX_VALUE_LENGTH)}...` : text;
}
