// Decides whether an origin is listed.
// Must not parse URLs: an origin is compared as the browser wrote it, so that nothing can be read two ways.

/** Says whether an origin may call. */
export type OriginMatcher = (origin: string) => boolean;

/** One or more whole labels, so that `https://*.example.com` is neither `https://example.com` nor `https://evil-example.com`. */
const LABELS = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;

/** Longest origin that is looked at: a host name has at most 253 characters. */
const MAX_ORIGIN_LENGTH = 300;

/** Builds the matcher of a list without `*`: exact origins and wildcards for subdomains. */
export function buildOriginMatcher(origins: readonly string[]): OriginMatcher {
  const listed = origins.map(withoutDefaultPort);
  const exact = new Set(listed.filter((origin) => !origin.includes('*')));
  const wildcards = listed
    .filter((origin) => origin.includes('*'))
    .map((origin) => {
      const [head = '', tail = ''] = origin.split('*');
      return { head, tail };
    });
  return (origin) =>
    exact.has(origin) ||
    (origin.length <= MAX_ORIGIN_LENGTH &&
      wildcards.some(
        ({ head, tail }) =>
          origin.startsWith(head) &&
          origin.endsWith(tail) &&
          LABELS.test(origin.slice(head.length, origin.length - tail.length)),
      ));
}

/** Browsers leave the default port out of an origin. @see RFC 6454 section 6.1 */
function withoutDefaultPort(origin: string): string {
  return origin.replace(/^(https:.*):443$/, '$1').replace(/^(http:.*):80$/, '$1');
}
