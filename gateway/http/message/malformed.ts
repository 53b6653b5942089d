// What a reader of messages throws when the bytes are not HTTP/1.1.
// Must not hold bytes of the message: its text may be shown to the one who sent it.

/** Says what is wrong: the grammar, or a bound that was passed. */
export type Breach = 'grammar' | 'too-large' | 'line-too-long';

/** Is thrown for any breach of the grammar or of a bound. */
export class MalformedMessage extends Error {
  override readonly name = 'MalformedMessage';
  readonly breach: Breach;

  constructor(detail: string, breach: Breach = 'grammar') {
    super(detail);
    this.breach = breach;
  }
}
