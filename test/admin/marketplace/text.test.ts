// README and CHANGELOG as HTML: hostile texts come out harmless, slow ones hold up nobody, usual ones look right.
// Must not trust the library that parses: what it lets through is the question.
import assert from 'node:assert/strict';
import { renderMarkdown } from '../../../admin/marketplace/text/html.ts';
import { createRenderer } from '../../../admin/marketplace/text/render.ts';

/** Matches every tag that the renderer writes, in the one form in which it writes it. */
const OWN_TAG =
  /<\/?(?:h[1-6]|p|blockquote|strong|em|del|pre|code|ul|ol|li|table|thead|tbody|tr|th|td|a)>|<(?:hr|br)>|<ol start="\d+">|<a href="(?:https?:\/\/|mailto:)[^\s"'<>`\\]+" rel="nofollow noopener noreferrer">/g;

const ATTACKS: readonly string[] = [
  '<script>alert(1)</script>',
  '<img src=x onerror=alert(1)>',
  '<svg/onload=alert(1)>',
  '<a href="javascript:alert(1)">x</a>',
  '<iframe srcdoc="<script>alert(1)</script>">',
  '[x](javascript:alert(1))',
  '[x](JaVaScRiPt:alert(1))',
  '[x](java\nscript:alert(1))',
  '[x](  javascript:alert(1))',
  '[x](&#106;avascript:alert(1))',
  '[x](&#x6A;avascript&colon;alert(1))',
  '[x](%6Aavascript:alert(1))',
  '[x](data:text/html;base64,PHNjcmlwdD4=)',
  '[x](vbscript:msgbox)',
  '[x](//evil.example)',
  '[x](file:///etc/passwd)',
  '[x](https://e.example/"onmouseover="alert(1))',
  '[x](https://e.example/ "t\\" onmouseover=\\"alert(1)")',
  "[x](https://e.example/'onclick='alert(1))",
  '[x][r]\n\n[r]: javascript:alert(1)',
  '<javascript:alert(1)>',
  '<https://e.example/"onclick=alert(1)>',
  '![x](javascript:alert(1))',
  '![x"onerror="alert(1)](https://e.example/i.png)',
  '![<script>alert(1)</script>](https://e.example/i.png)',
  '`<script>alert(1)</script>`',
  '```html" onclick="alert(1)\n<script>alert(1)</script>\n```',
  '    <script>alert(1)</script>',
  '# <script>alert(1)</script>',
  '| a<script> | b |\n|---|---|\n| <img onerror=x> | [x](javascript:1) |',
  '- [ ] <b onclick=x>\n- [x] y',
  '&lt;script&gt;alert(1)&lt;/script&gt;',
  '&#60;script&#62;',
  '**<script>**~~<style>~~_<b>_',
  '<!--><script>alert(1)</script>-->',
  '<![CDATA[<script>alert(1)</script>]]>',
  '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">',
  'x\u0000<script>\u0000alert(1)</script>',
  '\\<script>alert(1)\\</script>',
  'www.e.example/<script>',
  'a@e.example"onclick=x',
  '<div\n\n<script>\n\nalert(1)\n\n</script>\n\n</div>',
];

describe('rendered texts', () => {
  for (const attack of ATTACKS) {
    it(`hold nothing but our own tags: ${JSON.stringify(attack).slice(0, 60)}`, () => {
      const html = renderMarkdown(attack);

      const rest = html.replace(OWN_TAG, '');
      assert.doesNotMatch(rest, /[<>"']/, html);
      assert.doesNotMatch(html.replace(/&lt;.*?&gt;/g, ''), /<[^>]*\son\w+=/i);
    });
  }

  it('survive a thousand texts put together from parts of attacks', () => {
    const parts = ATTACKS.flatMap((attack) => attack.split(/(?<=[<>()[\]"'`\n])/));
    let state = 20_261_123;
    const pick = (): string => {
      state = (state * 48_271) % 2_147_483_647;
      return parts[state % parts.length] ?? '';
    };

    for (let round = 0; round < 1000; round++) {
      const text = Array.from({ length: 12 }, pick).join('');
      const html = renderMarkdown(text);
      assert.doesNotMatch(html.replace(OWN_TAG, ''), /[<>"']/, JSON.stringify(text));
    }
  });

  it('look as their author meant them', () => {
    const html = renderMarkdown(
      '# Title\n\nText with **bold**, _em_, `code` & [a link](https://e.example/a?b=1&c=2).\n\n1. one\n2. two\n\n```js\nif (a < b) {}\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n',
    );

    assert.equal(
      html,
      '<h1>Title</h1>\n<p>Text with <strong>bold</strong>, <em>em</em>, <code>code</code> &amp; ' +
        '<a href="https://e.example/a?b=1&amp;c=2" rel="nofollow noopener noreferrer">a link</a>.</p>\n' +
        '<ol>\n<li>one</li>\n<li>two</li>\n</ol>\n<pre><code>if (a &lt; b) {}\n</code></pre>\n' +
        '<table><thead><tr><th>a</th><th>b</th></tr>\n</thead>\n<tbody><tr><td>1</td><td>2</td></tr>\n</tbody>\n</table>\n',
    );
  });

  it('that are deep, long or slow are shown as text and hold up nobody', async function () {
    this.timeout(30_000);
    const render = createRenderer();
    const texts = [
      '>'.repeat(50_000),
      '['.repeat(50_000),
      '*a '.repeat(60_000),
      `${'- '.repeat(10_000)}x`,
      '<'.repeat(100_000),
      'x'.repeat(300_000),
      '![['.repeat(40_000),
      `${'`'.repeat(100_000)}x`,
    ];

    for (const text of texts) {
      let ticks = 0;
      const timer = setInterval(() => {
        ticks += 1;
      }, 10);
      const startedAt = performance.now();
      const { html } = await render(text);
      clearInterval(timer);
      const tookMs = performance.now() - startedAt;
      assert.ok(tookMs < 5_000, `${text.slice(0, 10)} took ${tookMs} ms`);
      assert.ok(ticks >= tookMs / 10 / 4 - 5, `${ticks} ticks in ${tookMs} ms`);
      assert.doesNotMatch(html.replace(OWN_TAG, ''), /[<>]/);
    }
  });
});
