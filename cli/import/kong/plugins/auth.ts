// Translates who may call: key-auth, basic-auth, jwt.
// Must not let anybody in whom Kong would refuse.
import { expectOnly, type PluginCall, type Translator } from './translator.ts';

/** Reports what the three have in common and we have not. */
function expectCommon(call: PluginCall): void {
  expectOnly(call, 'anonymous', {
    values: [''],
    otherwise: 'nobody is let in here without a credential; decide who the anonymous callers are',
  });
  expectOnly(call, 'run_on_preflight', {
    values: [true],
    otherwise: 'OPTIONS requests need a credential here too, but for preflights that cors answers',
    isHarmless: true,
  });
  expectOnly(call, 'realm', { values: ['service', ''], otherwise: 'the realm is not configurable', isHarmless: true });
}

/** Translates key-auth. */
export const translateKeyAuth: Translator = (call) => {
  const { options } = call;
  const isInHeader = options.flag('key_in_header') ?? true;
  const isInQuery = options.flag('key_in_query') ?? true;
  expectCommon(call);
  expectOnly(call, 'key_in_body', { values: [false], otherwise: 'keys in bodies are not read' });
  const names = options.texts('key_names') ?? ['apikey'];
  return {
    keyNames: [...new Set(names)],
    in: [...(isInHeader ? ['header'] : []), ...(isInQuery ? ['query'] : [])],
    hideCredentials: options.flag('hide_credentials') ?? false,
  };
};

/** Translates basic-auth. */
export const translateBasicAuth: Translator = (call) => {
  expectCommon(call);
  return { hideCredentials: call.options.flag('hide_credentials') ?? false };
};

/** Translates jwt. Kong checks no times unless it is told to. */
export const translateJwt: Translator = (call) => {
  const { options } = call;
  expectCommon(call);
  expectOnly(call, 'key_claim_name', { values: ['iss'], otherwise: 'the claim that names the key is always iss' });
  expectOnly(call, 'maximum_expiration', { values: [0], otherwise: 'how far ahead exp may lie is not bounded here' });
  // Each secret says it of itself (credentials.ts).
  options.skip('secret_is_base64');
  const claims = options.texts('claims_to_verify') ?? [];
  if (claims.includes('nbf')) {
    call.trouble('claims_to_verify: a token without nbf passes here, and not in Kong; see that issuers set it');
  }
  return {
    claimsToVerify: [...new Set(claims)],
    headerNames: [...new Set(options.texts('header_names') ?? ['authorization'])],
    queryNames: [...new Set(options.texts('uri_param_names') ?? ['jwt'])],
    cookieNames: [...new Set(options.texts('cookie_names') ?? [])],
    hideCredentials: false,
  };
};
