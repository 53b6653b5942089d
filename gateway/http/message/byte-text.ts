// Text of which every character is one byte, beside those bytes.
// Must not be kept: the bytes may be lent.

/** Is a text and its bytes. V8 looks at bytes twice as fast as at the characters of a text, and cuts pieces from a text only. */
export interface ByteText {
  readonly text: string;
  /** There may be more of them than the text has characters; those do not belong to it. */
  readonly bytes: Uint8Array;
}

/** Gives a text (Latin-1) with bytes of its own. */
export function toByteText(text: string): ByteText {
  return { text, bytes: Buffer.from(text, 'latin1') };
}
