// Made from config.schema.json by `sallyport plugin`: change that file, and this one follows.

/** Is the configuration of a binding, checked and with its defaults. */
export interface Config {
  /** Headers to set, in this order. */
  readonly stamps: readonly {
    /** Name of the header; begins with x-stamp-. */
    readonly name: string;
    /** Text; {api}, {route}, {consumer}, {id} and {ip} stand for what they name. */
    readonly value: string;
    /** Which message gets it. */
    readonly on: 'request' | 'response';
  }[];
}
