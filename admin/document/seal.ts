// Hashes the passwords of a body before its write begins: it takes tens of milliseconds that must not hold the write lock.
// Must not decide what a body may hold: what it does not understand it leaves for the schema to refuse.
import type { DocumentState } from '../../gateway/core/config.ts';
import type { Credential } from '../../gateway/core/model.ts';
import { hashPassword, verifyPassword } from '../../gateway/sources/secrets.ts';
import { isRecord } from './read.ts';

const MAX_PASSWORD_LENGTH = 256;

/** The thread pool that hashes has four threads; more would only wait. */
const PARALLEL_HASHES = 4;

/** Gives the body of one credential with `passwordHash` in the place of `password`; an unchanged password keeps its hash. */
export async function hashPasswordIn(body: unknown, existing: Credential | undefined): Promise<unknown> {
  if (!isRecord(body) || typeof body['password'] !== 'string' || body['passwordHash'] !== undefined) return body;
  const { password, ...rest } = body as { readonly password: string };
  if (password.length === 0 || password.length > MAX_PASSWORD_LENGTH) return body;
  const known = existing?.data['passwordHash'];
  const isSame = typeof known === 'string' && (await verifyPassword(password, known));
  return { ...rest, passwordHash: isSame ? known : await hashPassword(password) };
}

/** Does the same for every consumer of a whole configuration. */
export async function hashPasswordsIn(document: unknown, state: DocumentState): Promise<unknown> {
  const consumers = isRecord(document) ? document['consumers'] : undefined;
  if (!isRecord(document) || !Array.isArray(consumers)) return document;
  const byUsername = new Map<string, Credential>();
  for (const credential of state.credentials.values()) {
    if (credential.type === 'basic-auth') byUsername.set(credential.lookup, credential);
  }
  const hashConsumer = async (consumer: unknown): Promise<unknown> => {
    const credentials = isRecord(consumer) ? consumer['credentials'] : undefined;
    if (!isRecord(consumer) || !Array.isArray(credentials)) return consumer;
    const hashed: unknown[] = [];
    for (const one of credentials as readonly unknown[]) {
      const username = isRecord(one) && typeof one['username'] === 'string' ? one['username'] : '';
      hashed.push(await hashPasswordIn(one, byUsername.get(username)));
    }
    return { ...consumer, credentials: hashed };
  };
  const hashed = [...(consumers as readonly unknown[])];
  const next = consumers.entries();
  const work = async (): Promise<void> => {
    for (const [index, consumer] of next) hashed[index] = await hashConsumer(consumer);
  };
  await Promise.all(Array.from({ length: PARALLEL_HASHES }, work));
  return { ...document, consumers: hashed };
}
