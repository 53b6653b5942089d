// Made from config.schema.json by `sallyport plugin`: change that file, and this one follows.

/** Is the configuration of a binding, checked and with its defaults. */
export interface Config {
  /** What to do; a request header x-misbehave says otherwise for its request. */
  readonly misbehaviour:
    | 'none'
    | 'loop'
    | 'regex-bomb'
    | 'promise-loop'
    | 'array-bomb'
    | 'string-bomb'
    | 'buffer-bomb'
    | 'throw'
    | 'throw-odd'
    | 'reject-later'
    | 'never-settle'
    | 'spoil-prototypes'
    | 'escape-by-constructor'
    | 'read-environment'
    | 'read-file'
    | 'open-socket'
    | 'start-process'
    | 'end-process'
    | 'write-undeclared-header'
    | 'read-undeclared-header'
    | 'rewrite-path'
    | 'replace-body'
    | 'answer'
    | 'identify'
    | 'fetch-undeclared-host'
    | 'flood-log'
    | 'flood-headers'
    | 'break-header';
  /** When to do it. */
  readonly at: 'setup' | 'onRequest' | 'onResponse';
}
