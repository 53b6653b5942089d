// Which headers and query parameters are secrets, and what is written in their place.
// Must err on the side of hiding: a log is read by more people than the secret is for.
import { readQuery } from 'sallyport/plugin';

/** Stands where a secret was. */
export const REDACTED = '[redacted]';

/** Says whether the value under a name is secret. Names compare without case. */
export type SecretTest = (name: string) => boolean;

const SECRET_NAMES: ReadonlySet<string> = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'www-authenticate',
  'jwt',
  'sig',
  'sid',
  'pin',
  'otp',
  'auth',
  'code',
  'state',
  'assertion',
]);

/** Matches names that hold a secret by what they are called: `apikey`, `x-api-key`, `access_token`, `clientSecret` ... */
const SECRET_PATTERN =
  /key\b|key[-_]|token|secret|passw|pwd|passphrase|credential|signature|session|bearer|csrf|xsrf|-auth/;

/** Decoded names kept with their decision; clients choose them, so there is a bound. */
const MAX_KNOWN_NAMES = 1_000;

/** Builds the test for the usual secrets and `more` names. */
export function buildSecretTest(more: readonly string[]): SecretTest {
  const names = new Set([...SECRET_NAMES, ...more.map((name) => name.toLowerCase())]);
  const known = new Map<string, boolean>();
  return (name) => {
    const before = known.get(name);
    if (before !== undefined) return before;
    const lower = name.toLowerCase();
    const isSecret = names.has(lower) || SECRET_PATTERN.test(lower);
    if (known.size >= MAX_KNOWN_NAMES) known.clear();
    known.set(name, isSecret);
    return isSecret;
  };
}

/** Gives a query with the values of secrets replaced; the rest stays byte for byte. */
export function redactQuery(query: string, isSecret: SecretTest): string {
  // Names are read as the upstream would: `%61pikey` is `apikey`.
  return readQuery(query)
    .map(({ raw, name }) => {
      const border = raw.indexOf('=');
      return border !== -1 && isSecret(name) ? raw.slice(0, border + 1) + REDACTED : raw;
    })
    .join('&');
}

/** Gives a URL with the secrets in its query and its user info replaced. */
export function redactUrl(url: string, isSecret: SecretTest): string {
  const withoutUser = url.replace(/^([a-z][a-z0-9+.-]*:)?\/\/[^/?#]*@/i, `$1//${REDACTED}@`);
  const start = withoutUser.search(/[?#]/);
  // A fragment may hold tokens too, and none of it helps whoever reads a log.
  if (start === -1) return withoutUser;
  const end = withoutUser.indexOf('#', start);
  const query = withoutUser.slice(start + 1, end === -1 ? undefined : end);
  return end === start ? withoutUser.slice(0, start) : `${withoutUser.slice(0, start)}?${redactQuery(query, isSecret)}`;
}
