// Made from config.schema.json by `sallyport plugin`: change that file, and this one follows.

/** Is the configuration of a binding, checked and with its defaults. */
export interface Config {
  /** Larger requests are refused, in bytes: a signature needs the whole body. */
  readonly maxBodyBytes: number;
}
