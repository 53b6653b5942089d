// Reads what tests compare in Markdown pages: tables, links, headings, code spans.
// Must not know any page.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const SKIPPED = new Set(['node_modules', 'dist', 'coverage']);
const FENCED = /^```.*?^```$/gms;

/** Lists every Markdown file below a folder, as paths from it; what is installed, built or hidden does not count. */
export function listPages(root: string, folder = ''): readonly string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return SKIPPED.has(entry.name) || entry.name.startsWith('.') ? [] : listPages(root, path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

/** Reads the first table below a heading: its rows as cells, without the head. */
export function readTable(markdown: string, heading: string): readonly (readonly string[])[] {
  const from = markdown.search(new RegExp(`^#+ ${heading}$`, 'm'));
  const lines = markdown.slice(Math.max(from, 0)).split('\n');
  const start = lines.findIndex((line) => line.startsWith('|'));
  if (from === -1 || start === -1) return [];
  const rest = lines.slice(start);
  const end = rest.findIndex((line) => !line.startsWith('|'));
  return rest.slice(2, end === -1 ? undefined : end).map((line) =>
    line
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim()),
  );
}

/** Takes the back-quotes off a cell that is one code span. */
export function plain(cell: string | undefined): string {
  return (cell ?? '').replace(/^`(.*)`$/, '$1');
}

/** Lists the relative links of a page: targets as written. */
export function listLinks(markdown: string): readonly string[] {
  const links = [...markdown.replace(FENCED, '').matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? '');
  return links.filter((link) => !/^[a-z]+:/.test(link));
}

/** Lists the anchors that the headings of a page make. */
export function listAnchors(markdown: string): readonly string[] {
  return [...markdown.replace(FENCED, '').matchAll(/^#+ (.+)$/gm)].map((match) =>
    (match[1] ?? '')
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

/** Lists the code spans of a page, and nothing of its code blocks. */
export function listCodeSpans(markdown: string): readonly string[] {
  return [...markdown.replace(FENCED, '').matchAll(/`([^`\n]+)`/g)].map((match) => match[1] ?? '');
}
