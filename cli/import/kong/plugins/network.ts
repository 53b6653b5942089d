// Translates cors and ip-restriction.
// Must not let in an origin or an address that Kong keeps out.
import { expectOnly, type Translator } from './translator.ts';

const ORIGIN = /^(\*|null|[a-z][a-z0-9+.-]*:\/\/([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?)$/;
const DEFAULT_METHODS = ['GET', 'HEAD', 'PUT', 'PATCH', 'POST', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT'];
/** What a browser takes when it is not told. @see https://fetch.spec.whatwg.org/#cors-preflight-fetch */
const DEFAULT_MAX_AGE_SECONDS = 5;
const LONGEST_MAX_AGE_SECONDS = 86_400;

/** Translates cors. */
export const translateCors: Translator = (call) => {
  const { options } = call;
  const given = options.texts('origins') ?? [];
  const origins = given.length === 0 || given.includes('*') ? ['*'] : [...new Set(given)];
  const foreign = origins.filter((origin) => !ORIGIN.test(origin));
  if (foreign.length > 0) {
    call.trouble(`origins: ${foreign[0]} is an expression or no origin; write https://host or https://*.domain`);
  }
  const credentials = options.flag('credentials') ?? false;
  if (credentials && origins.includes('*')) {
    call.trouble('credentials: every site could act as the user, so they need a list of origins here');
  }
  expectOnly(call, 'preflight_continue', {
    values: [false],
    otherwise: 'preflights are answered here and never sent on',
  });
  expectOnly(call, 'private_network', {
    values: [false],
    otherwise: 'private networks are not spoken of',
    isHarmless: true,
  });
  options.skip('allow_origin_absent');
  const maxAge = options.number('max_age') ?? DEFAULT_MAX_AGE_SECONDS;
  if (maxAge > LONGEST_MAX_AGE_SECONDS) call.tell('max_age: cut to a day');
  const headers = options.texts('headers') ?? [];
  const usable = origins.filter((origin) => ORIGIN.test(origin));
  if (usable.length === 0) return undefined;
  return {
    origins: usable,
    methods: [...new Set(options.texts('methods') ?? DEFAULT_METHODS)],
    headers: headers.length === 0 ? ['*'] : [...new Set(headers)],
    exposedHeaders: [...new Set(options.texts('exposed_headers') ?? [])],
    credentials: credentials && !origins.includes('*'),
    maxAgeSeconds: Math.min(maxAge, LONGEST_MAX_AGE_SECONDS),
  };
};

/** Translates ip-restriction, also with the names its lists had before 2.1. */
export const translateIpRestriction: Translator = (call) => {
  const { options } = call;
  const allow = options.texts('allow') ?? options.texts('whitelist') ?? [];
  const deny = options.texts('deny') ?? options.texts('blacklist') ?? [];
  options.skip('whitelist', 'blacklist');
  expectOnly(call, 'status', { values: [403], otherwise: 'the answer is not configurable', isHarmless: true });
  expectOnly(call, 'message', { values: [''], otherwise: 'the answer is not configurable', isHarmless: true });
  return { allow: [...new Set(allow)], deny: [...new Set(deny)] };
};
