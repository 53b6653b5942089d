// Keeps browsers and rebound DNS names away from the admin port, and sets the headers every answer carries.
// Must not know tokens.
import { isIP } from 'node:net';
import type { Middleware } from 'koa';
import { AdminError } from '../errors.ts';

const HEADERS: Readonly<Record<string, string>> = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
};

/**
 * Refuses a Host that is neither an address, `localhost` nor a configured name: a page whose name was rebound to this
 * address would send its own. Refuses any Origin but the admin's own: there is no cross-origin use.
 */
export function guardBrowser(allowedHosts: readonly string[]): Middleware {
  const allowed = new Set(['localhost', ...allowedHosts.map((host) => host.toLowerCase())]);
  return async (context, next) => {
    context.set(HEADERS);
    const host = (context.req.headers.host ?? '').toLowerCase();
    const name = host.replace(/:[0-9]*$/, '');
    const address = name.startsWith('[') && name.endsWith(']') ? name.slice(1, -1) : name;
    if (!allowed.has(name) && isIP(address) === 0) {
      throw new AdminError(
        'HOST_REFUSED',
        'Call the admin service by its address, as localhost or by a configured name.',
      );
    }
    const { origin } = context.req.headers;
    if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`) {
      throw new AdminError('ORIGIN_REFUSED', 'The admin service answers no other origin.');
    }
    await next();
  };
}
