// Names of header fields: read as they were sent, compared without regard to case.
import assert from 'node:assert/strict';
import { toByteText } from '../../../../gateway/http/message/byte-text.ts';
import { isNamed, readFields, readToken } from '../../../../gateway/http/message/fields.ts';

const CHARACTERS = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).filter(
  (character) => readToken(toByteText(character), 0, 1) === character,
);
const LOWER = CHARACTERS.filter((character) => character === character.toLowerCase());

describe('the name of a field', () => {
  it('is the one that lower-casing makes of it, whatever a token is made of', () => {
    const differing = CHARACTERS.flatMap((sent) =>
      // Of names that are asked for there are letters and hyphens only.
      LOWER.filter((lower) => /[a-z-]/.test(lower))
        .filter((lower) => isNamed(sent, lower) !== (sent.toLowerCase() === lower))
        .map((lower) => `${sent} ${lower}`),
    );

    assert.deepEqual(differing, []);
  });

  it('is the one that was sent, also where others of its length have its hash', () => {
    const alike = ['AaAa', 'AaBB', 'BBAa', 'BBBB'];
    const sent = [...alike, ...alike, 'aAaA', 'AaA', 'AaAaA', `X-${'AaBB'.repeat(20)}`];
    const fields: string[] = [];

    readFields(toByteText(sent.map((name) => `${name}: 1`).join('\r\n')), 0, 100, fields);

    assert.deepEqual(
      fields.filter((_, at) => at % 2 === 0),
      sent,
    );
  });

  it('is no other of the same length, and none that it begins', () => {
    for (const name of ['Content-Lengti', 'content_length', 'Content-Lengt', 'Content-Length-'])
      assert.equal(isNamed(name, 'content-length'), false);
  });
});
