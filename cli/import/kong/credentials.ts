// Turns the credentials of Kong's consumers into ours. What cannot be taken over lets nobody in, and is told.
// Must not put a secret into a remark.
import type { ConsumerDraft } from '../draft.ts';
import { Fields } from '../source.ts';
import { type KongImport, readTags, SERVER_SET } from './context.ts';
import type { Entity } from './entities.ts';
import { isReference } from './references.ts';

/** Are the sections of what consumers own. */
export const CREDENTIAL_SECTIONS: readonly string[] = [
  'keyauth_credentials',
  'basicauth_credentials',
  'jwt_secrets',
  'acls',
  'hmacauth_credentials',
  'oauth2_credentials',
  'mtls_auth_credentials',
];
const FOREIGN = ['hmacauth_credentials', 'oauth2_credentials', 'mtls_auth_credentials'];

/** SHA-1 in hex: the form in which Kong keeps passwords and dumps them. */
const HASHED_PASSWORD = /^[0-9a-f]{40}$/;
const KEY = /^[\x21-\x7e]{8,512}$/;
const ALGORITHM = /^(HS|RS|ES|PS)(256|384|512)$/;

type Read = { readonly value: Record<string, unknown> } | { readonly fault: string };

const READERS: Readonly<Record<string, (fields: Fields, kong: KongImport) => Read>> = {
  keyauth_credentials: readKey,
  basicauth_credentials: readPassword,
  jwt_secrets: readJwt,
};

/** Translates what one consumer owns. */
export function translateCredentials(kong: KongImport, owner: Entity, consumer: ConsumerDraft): void {
  const ownOf = (section: string): readonly Entity[] => kong.entities.below(owner, section);
  for (const [section, read] of Object.entries(READERS)) {
    for (const entity of ownOf(section)) {
      const fields = new Fields(entity.value, entity.place);
      fields.skip(...SERVER_SET, 'consumer', 'tags');
      const found = read(fields, kong);
      const [unknown] = fields.listUnasked();
      const fault = 'fault' in found ? found.fault : unknown && `there is no counterpart of ${unknown}`;
      if (fault !== undefined || !('value' in found)) kong.draft.note(entity.place, `credential left out: ${fault}`);
      else consumer.credentials.push({ place: entity.place, value: { ...found.value, ...readTags(kong, entity) } });
    }
  }
  for (const entity of FOREIGN.flatMap(ownOf)) {
    kong.draft.note(entity.place, 'credential left out: no plugin here takes one of this kind');
  }
}

function readKey(fields: Fields): Read {
  const key = fields.text('key') ?? '';
  if (fields.get('ttl') !== undefined) return { fault: 'it has a ttl, and keys do not expire by themselves here' };
  if (isReference(key)) return { fault: 'its key is in a vault' };
  if (!KEY.test(key)) return { fault: 'a key has 8 to 512 visible characters here; give the consumer a new one' };
  return { value: { type: 'key-auth', key } };
}

function readPassword(fields: Fields): Read {
  const username = fields.text('username') ?? '';
  const password = fields.text('password') ?? '';
  if (isReference(password)) return { fault: 'its password is in a vault' };
  if (HASHED_PASSWORD.test(password)) return { fault: 'its password is hashed by Kong; set it anew' };
  if (password === '' || password.length > 256) return { fault: 'a password has 1 to 256 characters here' };
  if (!/^[^:\p{Cc}]{1,256}$/u.test(username)) return { fault: 'a user name has 1 to 256 characters here, and no :' };
  return { value: { type: 'basic-auth', username, password } };
}

function readJwt(fields: Fields, kong: KongImport): Read {
  const [key, algorithm] = [fields.text('key'), fields.text('algorithm') ?? 'HS256'];
  const [secret, publicKey] = [fields.text('secret'), fields.text('rsa_public_key')];
  if (key === undefined) return { fault: 'it has no key; Kong made one up that is not in the file' };
  if (!ALGORITHM.test(algorithm)) return { fault: `${algorithm} is not supported` };
  const base = { type: 'jwt', key, algorithm };
  if (!algorithm.startsWith('HS')) {
    if (publicKey === undefined || isReference(publicKey)) return { fault: 'its public key is not in the file' };
    return { value: { ...base, publicKey } };
  }
  if (secret === undefined || isReference(secret)) return { fault: 'its secret is not in the file' };
  const { secretEncoding: encoding } = kong;
  if (encoding === undefined)
    return { fault: 'plugins jwt disagree on secret_is_base64, which each secret says of itself here' };
  if (encoding === 'utf8') return { value: { ...base, secret } };
  const encoded = secret.replaceAll('+', '-').replaceAll('/', '_');
  return { value: { ...base, secret: encoded, secretEncoding: encoding } };
}
