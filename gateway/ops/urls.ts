// Addresses as URLs.
// Must not parse one.

/** Writes the URL of an address; an IPv6 host gets its brackets. */
export function toUrl(host: string, port: number, scheme: 'http' | 'https' = 'http'): string {
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
