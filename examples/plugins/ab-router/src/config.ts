// Made from config.schema.json by `sallyport plugin`: change that file, and this one follows.

/** Is the configuration of a binding, checked and with its defaults. */
export interface Config {
  /** Its name; two experiments choose their callers independently. */
  readonly experiment: string;
  /** Share of the callers that gets variant B. */
  readonly percent: number;
  /** What makes two requests the same caller's; `header` needs `header`. Who cannot be told gets A. */
  readonly by: 'consumer' | 'ip' | 'header';
  /** Name of the header that tells callers apart, in lower case. */
  readonly header: string;
  /** Put before the path of requests for variant B; empty = the path stays, and the header tells. */
  readonly pathPrefix: string;
}
