// Made from config.schema.json by `sallyport plugin`: change that file, and this one follows.

/** Is the configuration of a binding, checked and with its defaults. */
export interface Config {
  /** Names of the fields whose values are hidden, at any depth. Upper and lower case differ. */
  readonly fields: readonly string[];
  /** Text that stands in the place of a value. */
  readonly mask: string;
}
