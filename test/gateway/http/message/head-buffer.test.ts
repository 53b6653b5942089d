// Where the head of a message ends, whatever its lines are made of and however it is cut.
import assert from 'node:assert/strict';
import { HeadBuffer } from '../../../../gateway/http/message/head-buffer.ts';

const END = '\r\n\r\n';
const MAX_BYTES = 1024;

/** Lists every text of some characters. */
function listTexts(characters: readonly string[], length: number): readonly string[] {
  if (length === 0) return [''];
  return listTexts(characters, length - 1).flatMap((text) => characters.map((character) => text + character));
}

/** Reads one head in one piece. Undefined = it is not whole, or can never be. */
function readWhole(text: string): { readonly head: string; readonly end: number } | undefined {
  const buffer = new HeadBuffer(MAX_BYTES);
  try {
    const end = buffer.take(Buffer.from(text, 'latin1'));
    return end === -1 ? undefined : { head: buffer.text, end };
  } catch {
    return undefined;
  }
}

describe('the end of a head', () => {
  it('is the first empty line, in every text of line ends and others', () => {
    for (const text of listTexts(['\r', '\n', 'a'], 9)) {
      const at = text.indexOf(END);
      const expected = at === -1 ? undefined : { head: text.slice(0, at), end: at + END.length };

      assert.deepEqual(readWhole(text), expected, JSON.stringify(text));
    }
  });

  it('is found at every place, and wherever the head is cut', () => {
    for (let length = 1; length <= 12; length++) {
      const head = 'a'.repeat(length);
      const bytes = Buffer.from(`${head}${END}next`, 'latin1');
      for (let cut = 1; cut < head.length + END.length; cut++) {
        const buffer = new HeadBuffer(MAX_BYTES);

        const ends = [buffer.take(bytes.subarray(0, cut)), buffer.take(bytes.subarray(cut))];

        assert.deepEqual(ends, [-1, head.length + END.length - cut]);
        assert.equal(buffer.text, head);
      }
    }
  });
});
