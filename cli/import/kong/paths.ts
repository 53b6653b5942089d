// Turns a path of a Kong route into one of ours: a prefix, or an expression, which Kong anchors at its start alone.
// Must not decide what becomes of a route whose path cannot be translated.

/** Is a path as written here, or why there is none. */
export type PathTranslation =
  | { readonly ok: true; readonly path: string; readonly isExpression: boolean }
  | { readonly ok: false; readonly reason: string };

/** A path of these alone is a prefix to Kong before 3.0, any other an expression. */
const PLAIN_PATH = /^[A-Za-z0-9._~/%-]*$/;
/** What means something else to JavaScript than to Kong's engine, or nothing. */
const FOREIGN: readonly (readonly [RegExp, string])[] = [
  [/\(\?(?!:|<[A-Za-z]\w*>|P<)/, 'look-around, flags or another group that is not supported'],
  [/\(\?P</, 'a group named with ?P; write (?: in its place'],
  [/[*+?}]\+/, 'a possessive repeat'],
  [/\[\[?:|\[\[/, 'a class such as [:alpha:] or a class in a class; write the characters'],
  [/\\[^dDwWsSbBnrtfv.*+?^$|()[\]{}/\\\-_~#%&=!:;,@'"<> `]/, 'an escape that is not supported'],
];

/** Translates one path. `hasMarks`: expressions begin with `~`, as from format 3.0 on. */
export function translatePath(path: string, hasMarks: boolean): PathTranslation {
  const isExpression = path.startsWith('~') || (!hasMarks && !PLAIN_PATH.test(path));
  if (!isExpression) return { ok: true, path, isExpression };
  const expression = path.replace(/^~/, '').replace(/^\^/, '');
  if (!expression.startsWith('/')) return { ok: false, reason: 'an expression has to begin with /' };
  const foreign = FOREIGN.find(([pattern]) => pattern.test(expression));
  if (foreign !== undefined) return { ok: false, reason: `it has ${foreign[1]}` };
  if (hasTopAlternative(expression))
    return { ok: false, reason: 'it has | outside of brackets; make it several paths' };
  const isClosed = /(^|[^\\])(\\\\)*\$$/.test(expression);
  const body = isClosed ? expression.slice(0, -1) : expression;
  const literal = isClosed ? readLiteral(body) : undefined;
  // An exact path can be taken off the request; what an expression matched cannot.
  if (literal !== undefined) return { ok: true, path: `=${literal}`, isExpression };
  return { ok: true, path: `~${body}${isClosed ? '' : '.*'}`, isExpression };
}

/** Gives the text that an expression stands for when it stands for one only. */
function readLiteral(expression: string): string | undefined {
  const head = readHead(expression);
  return head.isWhole ? head.text : undefined;
}

/** Gives the text with which everything begins that an expression matches. */
export function readHead(expression: string): { readonly text: string; readonly isWhole: boolean } {
  let text = '';
  for (let at = 0; at < expression.length; ) {
    const [atom = ''] = /^(\\[^A-Za-z0-9]|[^\\.*+?^$|()[\]{}])/.exec(expression.slice(at, at + 2)) ?? [];
    const next = expression[at + atom.length] ?? '';
    if (atom === '' || '*?{'.includes(next || '.')) return { text, isWhole: false };
    text += atom.at(-1);
    at += atom.length;
  }
  return { text, isWhole: true };
}

function hasTopAlternative(expression: string): boolean {
  let depth = 0;
  let isInClass = false;
  for (let at = 0; at < expression.length; at++) {
    const sign = expression[at];
    if (sign === '\\') at++;
    else if (isInClass) isInClass = sign !== ']';
    else if (sign === '[') isInClass = true;
    else if (sign === '(') depth++;
    else if (sign === ')') depth--;
    else if (sign === '|' && depth === 0) return true;
  }
  return false;
}

/** Writes a text as an expression that matches it alone. */
export function escapeExpression(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
