// What a successful start shows.
// Must not repeat a secret that was shown before.

/** Is what there is to say. */
export interface ReadyFacts {
  readonly version: string;
  readonly urls: Readonly<Record<string, string>>;
  readonly dataDir: string;
  readonly isEmbedded: boolean;
  readonly readyMs: number;
  /** The admin token, when this start made it. */
  readonly newToken: string | undefined;
}

/** Writes the message of a start: where everything is and, the first time, the admin token. */
export function writeReadyMessage(facts: ReadyFacts): string {
  const { urls } = facts;
  const lines = [
    `Sallyport ${facts.version} is ready (${(facts.readyMs / 1000).toFixed(1)} s)`,
    '',
    `  proxy    ${urls['proxy']}`,
    ...(urls['proxyTls'] === undefined ? [] : [`  TLS      ${urls['proxyTls']}`]),
    `  admin    ${urls['admin']}/v1`,
    `  status   ${urls['status']}/readyz`,
    `  data     ${facts.dataDir}${facts.isEmbedded ? ' (with an embedded Postgres)' : ''}`,
  ];
  if (facts.newToken !== undefined) {
    lines.push(
      '',
      '  Your admin token, shown this once and kept in admin-token of the data directory:',
      `  ${facts.newToken}`,
    );
  }
  return `${lines.join('\n')}\n`;
}
