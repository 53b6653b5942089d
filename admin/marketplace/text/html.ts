// Turns Markdown into HTML of which every tag is written here and every text is escaped.
// Must not pass on a tag, an attribute or an address of the author's.
import { lexer, type Token, type Tokens } from 'marked';

/** Where a link may lead; anything else, relative addresses too, stays text. */
const SAFE_ADDRESS = /^(?:https?:\/\/|mailto:)[^\s"'<>`\\]+$/i;

/** Deepest nesting that is shown as such; what lies deeper is shown as text. */
const MAX_DEPTH = 32;

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Escapes a text for a place between tags or in a quoted attribute. */
function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character] ?? '');
}

/** Renders Markdown (GitHub's form). HTML in it is shown as text, images as links, and links lead to http, https and mailto only. */
export function renderMarkdown(markdown: string): string {
  return renderAll(lexer(markdown, { gfm: true }), 0);
}

function renderAll(tokens: readonly Token[] | undefined, depth: number): string {
  return (tokens ?? []).map((token) => render(token, depth)).join('');
}

function render(token: Token, depth: number): string {
  if (depth > MAX_DEPTH) return escapeHtml(token.raw);
  const inner = (): string => renderAll('tokens' in token ? token.tokens : undefined, depth + 1);
  switch (token.type) {
    case 'space':
    case 'def':
    case 'checkbox':
      return '';
    case 'hr':
      return '<hr>\n';
    case 'br':
      return '<br>';
    case 'heading':
      return block(`h${Math.min(6, Math.max(1, Number(token.depth)))}`, inner());
    case 'paragraph':
      return block('p', inner());
    case 'blockquote':
      return block('blockquote', inner());
    case 'strong':
    case 'em':
    case 'del':
      return `<${token.type}>${inner()}</${token.type}>`;
    case 'code':
      return `<pre><code>${escapeHtml(String(token.text))}\n</code></pre>\n`;
    case 'codespan':
      return `<code>${escapeHtml(String(token.text))}</code>`;
    case 'list':
      return renderList(token as Tokens.List, depth);
    case 'table':
      return renderTable(token as Tokens.Table, depth);
    case 'link':
      return renderLink(String(token.href), inner());
    case 'image':
      // A picture would tell its host who reads this.
      return renderLink(String(token.href), escapeHtml(String(token.text) || 'image'));
    case 'text':
      return !('tokens' in token) || token.tokens === undefined ? escapeHtml(String(token.text)) : inner();
    case 'escape':
      return escapeHtml(String(token.text));
    default:
      // HTML of the author, and whatever a later version of the library may bring.
      return escapeHtml(token.raw);
  }
}

function block(tag: string, inner: string): string {
  return `<${tag}>${inner}</${tag}>\n`;
}

function renderLink(href: string, inner: string): string {
  if (!SAFE_ADDRESS.test(href)) return inner;
  return `<a href="${escapeHtml(href)}" rel="nofollow noopener noreferrer">${inner}</a>`;
}

function renderList(list: Tokens.List, depth: number): string {
  const items = list.items.map((item) => {
    const mark = item.task ? (item.checked ? '[x] ' : '[ ] ') : '';
    return block('li', mark + renderAll(item.tokens, depth + 1));
  });
  const start = list.ordered && Number.isSafeInteger(list.start) && list.start !== 1 ? ` start="${list.start}"` : '';
  return list.ordered ? `<ol${start}>\n${items.join('')}</ol>\n` : block('ul', `\n${items.join('')}`);
}

function renderTable(table: Tokens.Table, depth: number): string {
  const row = (cells: readonly Tokens.TableCell[], tag: 'th' | 'td'): string =>
    block('tr', cells.map((cell) => `<${tag}>${renderAll(cell.tokens, depth + 1)}</${tag}>`).join(''));
  const head = block('thead', row(table.header, 'th'));
  return block('table', head + block('tbody', table.rows.map((cells) => row(cells, 'td')).join('')));
}
