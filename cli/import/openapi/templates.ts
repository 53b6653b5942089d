// Turns path templates into paths of routes, and finds templates that could match the same path.
// Must not look at operations.

/** Is a template as written here, or why it cannot be. */
export type TemplatePath =
  | { readonly ok: true; readonly path: string }
  | { readonly ok: false; readonly reason: string };

/** Stands for any text in a segment. */
const ANYTHING = '\u0000';

/** Writes `/pets` as an exact path and `/pets/{id}` as an expression; a parameter is one segment or a part of one. */
export function writeTemplate(template: string): TemplatePath {
  if (!template.startsWith('/')) return { ok: false, reason: 'a path has to begin with /' };
  if (!/[{}]/.test(template)) return { ok: true, path: `=${template}` };
  const parts = template.split(/(\{[^{}/]+\})/);
  if (parts.some((part, index) => index % 2 === 0 && /[{}]/.test(part))) {
    return { ok: false, reason: 'its braces do not fit' };
  }
  const written = parts.map((part, index) =>
    index % 2 === 1 ? '[^/]+' : part.replaceAll(/[.*+?^$()|[\]\\]/g, '\\$&'),
  );
  return { ok: true, path: `~${written.join('')}` };
}

/** Says whether some path fits both templates, neither of which is exact: then OpenAPI leaves open which is meant. */
export function mayShareTemplates(a: string, b: string): boolean {
  const [some, others] = [splitTemplate(a), splitTemplate(b)];
  if (some.length !== others.length) return false;
  return some.every((segment, index) => mayShareSegment(segment, others[index] ?? ''));
}

function splitTemplate(template: string): readonly string[] {
  return template.split('/').map((segment) => segment.replaceAll(/\{[^{}]+\}/g, ANYTHING));
}

/** Compares what stands before the first and behind the last parameter; what lies between is taken to fit. */
function mayShareSegment(a: string, b: string): boolean {
  if (!a.includes(ANYTHING) && !b.includes(ANYTHING)) return a === b;
  const edges = (segment: string): readonly [string, string] => {
    const parts = segment.split(ANYTHING);
    return [parts[0] ?? '', parts.at(-1) ?? ''];
  };
  const [headA, tailA] = edges(a);
  const [headB, tailB] = edges(b);
  const fits = (one: string, other: string): boolean => one.startsWith(other) || other.startsWith(one);
  return fits(headA, headB) && (tailA.endsWith(tailB) || tailB.endsWith(tailA));
}
