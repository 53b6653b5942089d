// What a successful start shows.
// Must not repeat a secret that was shown before.

/** Is what there is to say. */
export interface ReadyFacts {
  readonly version: string;
  readonly urls: Readonly<Record<string, string>>;
  readonly dataDir: string;
  readonly isEmbedded: boolean;
  /** The database answered; without it the gateway serves what the node knew last, if it knew anything. */
  readonly isReachable: boolean;
  readonly readyMs: number;
  /** The admin token, when this start made it. */
  readonly newToken: string | undefined;
}

const WITHOUT_DATABASE =
  ', without its database: DATABASE_URL does not answer yet, and is tried again.\nThe gateway serves the last configuration that this node had; /readyz says whether it had one.';

/** Writes the message of a start: where everything is and, the first time, the admin token. */
export function writeReadyMessage(facts: ReadyFacts): string {
  const { urls } = facts;
  const lines = [
    `Sallyport ${facts.version} is ready (${(facts.readyMs / 1000).toFixed(1)} s)${facts.isReachable ? '' : WITHOUT_DATABASE}`,
    '',
    `  proxy    ${urls['proxy']}`,
    ...(urls['proxyTls'] === undefined ? [] : [`  TLS      ${urls['proxyTls']}`]),
    `  admin    ${urls['admin']}/v1${facts.isReachable ? '' : ', as soon as the database answers'}`,
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
