// What a reader of messages throws when the bytes are not HTTP/1.1.
// Must not hold bytes of the message: its text may be shown to the one who sent it.

/** Is thrown for any breach of the grammar; `isTooLarge` when a bound was passed. */
export class MalformedMessage extends Error {
  override readonly name = 'MalformedMessage';
  readonly isTooLarge: boolean;

  constructor(detail: string, isTooLarge = false) {
    super(detail);
    this.isTooLarge = isTooLarge;
  }
}
