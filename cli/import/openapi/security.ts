// Turns the security of an operation into plugins that ask for the same.
// Must not make less of it: what cannot be asked for exactly is a fault.
import { asRecord, isRecord, type Source } from '../source.ts';
import type { OpenapiDocument } from './document.ts';

/** Is a plugin with its configuration. */
export interface Demand {
  readonly plugin: string;
  readonly config: Record<string, unknown>;
}

/** Is what an operation asks of a caller. `key` is equal for equal demands. */
export interface Demands {
  readonly key: string;
  readonly demands: readonly Demand[];
  readonly faults: readonly string[];
}

const KEY_NAME = /^[A-Za-z0-9_-]{1,128}$/;

/** Reads the security of one operation. */
export function readSecurity(document: OpenapiDocument, security: readonly unknown[] | undefined): Demands {
  const alternatives = (security ?? []).map((one) => asRecord(one, 'security'));
  const demands: Demand[] = [];
  const faults: string[] = [];
  const [only] = alternatives;
  if (alternatives.length > 1) {
    faults.push('it may be called in several ways, and plugins here all have to agree; choose one of them');
  } else if (only !== undefined) {
    for (const name of Object.keys(only)) readScheme(document, name, { demands, faults });
    if (Object.keys(only).length === 0)
      faults.push('a credential may be left out, which no plugin here allows; choose');
    if (new Set(demands.map(({ plugin }) => plugin)).size < demands.length) {
      faults.push('it asks for two of the same kind, and a plugin runs once; bind the second one under a name');
    }
  }
  return { key: JSON.stringify([demands, faults]), demands: dropRepeated(demands), faults };
}

interface Found {
  readonly demands: Demand[];
  readonly faults: string[];
}

function readScheme(document: OpenapiDocument, name: string, { demands, faults }: Found): void {
  const scheme = Object.hasOwn(document.schemes, name) ? document.resolve(document.schemes[name]) : undefined;
  const found = isRecord(scheme) ? translateScheme(scheme) : 'it is not in the document';
  if (typeof found === 'string') faults.push(`security scheme ${name}: ${found}`);
  else demands.push(found);
}

/** Gives the plugin, or why there is none. What upstreams see stays as it was: they may check it themselves. */
function translateScheme(scheme: Source): Demand | string {
  const [type, kind] = [String(scheme['type']), String(scheme['scheme'] ?? '').toLowerCase()];
  if (type === 'apiKey') return translateKey(scheme);
  if (type === 'http' && kind === 'basic') return { plugin: 'basic-auth', config: { hideCredentials: false } };
  if (type === 'http' && kind === 'bearer') {
    if (/^jwt$/i.test(String(scheme['bearerFormat'] ?? ''))) return { plugin: 'jwt', config: {} };
    return 'a bearer token that is no JWT cannot be checked here; say bearerFormat: JWT if it is one';
  }
  if (type === 'oauth2' || type === 'openIdConnect') {
    return `${type} is not translated; bind jwt with the issuer's key set (keysFrom.jwksUrl), issuer and audience`;
  }
  if (type === 'mutualTLS') return 'give the api a clientCertificate with the authorities of its clients';
  return `${type} ${kind}`.trim().concat(' has no counterpart');
}

function translateKey(scheme: Source): Demand | string {
  const [place, name] = [String(scheme['in']), String(scheme['name'])];
  if (place !== 'header' && place !== 'query') return `a key in a ${place} is not read here`;
  if (!KEY_NAME.test(name)) return `${name} is no name that key-auth takes`;
  return { plugin: 'key-auth', config: { keyNames: [name], in: [place], hideCredentials: false } };
}

function dropRepeated(demands: readonly Demand[]): readonly Demand[] {
  return demands.filter(({ plugin }, index) => demands.findIndex((one) => one.plugin === plugin) === index);
}
