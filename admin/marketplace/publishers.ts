// Registers publishers and their keys: whose a namespace is, and by which keys its packages are known.
// Must not see a private key.
import { readJson } from '../../gateway/core/json.ts';
import { type Envelope, readEnvelope, readPayload, verifySignatures } from '../../gateway/package/dsse.ts';
import { PackageError } from '../../gateway/package/errors.ts';
import { type KeyEntry, readKeyEntries, readPublicKey, toKeyEntry } from '../../gateway/package/keys.ts';
import type { Answer, Call } from '../call.ts';
import { AdminError, invalidField } from '../errors.ts';
import type { Knex } from '../store/database.ts';
import {
  addPublisherKey,
  deletePublisherKey,
  findPublisher,
  listPublishers,
  type Publisher,
  putPublisher,
} from '../store/marketplace/publishers.ts';
import { listTokens } from '../store/tokens.ts';
import { requireNamespace } from './access.ts';
import { makeIndex, readTrustedRoot, requireIndexKey } from './make-index.ts';
import { type MarketplaceEvent, type MarketplaceWrite, writeMarketplace } from './write.ts';

const PATH = '/v1/marketplace/publishers';

/** Most namespaces that one token takes for itself; an owner can give it more. */
const MAX_OWN_NAMESPACES = 5;

/** Most keys of a namespace; an index lists no more. */
const MAX_KEYS = 16;

/** Is the payload type of the word by which a key of a namespace vouches for another. */
export const KEY_PROOF_TYPE = 'application/vnd.sallyport.key.v1+json';

/** How old such a word may be, in milliseconds. */
const PROOF_VALID_MS = 3_600_000;

/** Is the body that registers or changes a publisher. */
export interface PublisherBody {
  readonly namespace: string;
  readonly title?: string;
  readonly level?: Publisher['level'];
  /** Name of the token that publishes here. */
  readonly token?: string | null;
  /** Public keys, PEM or base64 of the SPKI. */
  readonly keys?: readonly string[];
}

/**
 * Registers a namespace. A publisher gets it for its own token, unverified; an owner says for whom and how well verified.
 *
 * @throws CONFLICT, NAMESPACE_FOREIGN, CONFIG_INVALID, SIGNING_UNAVAILABLE
 */
export async function createPublisher(call: Call, body: PublisherBody): Promise<Answer> {
  requireIndexKey(call.services.marketplace.authority);
  const { namespace } = body;
  const keys = (body.keys ?? []).map((text, index) => readKey(text, `/keys/${index}`));
  return await writeMarketplace(call, async (transaction) => {
    const publishers = await listPublishers(transaction);
    if (publishers.some((one) => one.namespace === namespace)) {
      const problems = [{ pointer: '/namespace', message: 'expected a namespace that nobody has' }];
      throw new AdminError('CONFLICT', `The namespace ${namespace} is taken.`, { problems });
    }
    await checkClaim(call, transaction, { body, publishers });
    const isOwner = call.actor.role === 'owner';
    await putPublisher(transaction, {
      namespace,
      title: body.title ?? namespace,
      level: isOwner ? (body.level ?? 0) : 0,
      token: isOwner ? (body.token ?? null) : call.actor.name,
      origin: null,
    });
    for (const key of keys) await addPublisherKey(transaction, namespace, key);
    const made = await announce(call, transaction, namespace);
    return {
      answer: { status: 201, location: `${PATH}/${namespace}`, body: made },
      event: eventOf(namespace, 'create', [{ pointer: '', after: made }]),
    };
  });
}

/** Changes title, level or token of a publisher. @throws NOT_FOUND, CONFIG_INVALID, SIGNING_UNAVAILABLE */
export async function changePublisher(
  call: Call,
  namespace: string,
  body: Omit<PublisherBody, 'namespace' | 'keys'>,
): Promise<Answer> {
  requireIndexKey(call.services.marketplace.authority);
  return await writeMarketplace(call, async (transaction) => {
    const before = await getPublisher(transaction, namespace);
    await checkToken(transaction, body.token);
    await putPublisher(transaction, { ...before, ...body });
    const after = await announce(call, transaction, namespace);
    return {
      answer: { body: after },
      event: eventOf(namespace, 'update', [{ pointer: '', before, after }]),
    };
  });
}

/** Is the body that adds a key. */
export interface KeyBody {
  /** PEM, or base64 of the SPKI. */
  readonly publicKey: string;
  /** An envelope by which a key that the namespace has vouches for this one. */
  readonly proof?: unknown;
}

/**
 * Adds a key to a namespace. A publisher shows that it holds a key already: a stolen token alone must not be able to bring a
 * key of the thief. An owner need not.
 *
 * @throws NOT_FOUND, NAMESPACE_FOREIGN, PACKAGE_REFUSED, CONFLICT, SIGNING_UNAVAILABLE
 */
export async function addKey(call: Call, namespace: string, body: KeyBody): Promise<Answer> {
  requireIndexKey(call.services.marketplace.authority);
  const key = readKey(body.publicKey, '/publicKey');
  return await writeMarketplace(call, async (transaction) => {
    const publisher = requireNamespace(call.actor, namespace, await getPublisher(transaction, namespace));
    const isThere = publisher.keys.some(({ keyid }) => keyid === key.keyid);
    if (isThere) return { answer: { body: publisher } };
    if (publisher.keys.length >= MAX_KEYS) throw new AdminError('CONFLICT', `It has ${MAX_KEYS} keys already.`);
    if (call.actor.role !== 'owner' && publisher.keys.length > 0) {
      checkProof(body.proof, publisher, { keyid: key.keyid, nowMs: call.services.marketplace.nowMs() });
    }
    await addPublisherKey(transaction, namespace, key);
    return await answerKey(call, transaction, { publisher, keyid: key.keyid, verb: 'create' });
  });
}

/**
 * Takes a key away: from the next index on, gateways that ask for the publisher's signature refuse what only it signed.
 *
 * @throws NOT_FOUND, NAMESPACE_FOREIGN, IN_USE for the last key unless an owner asks, SIGNING_UNAVAILABLE
 */
export async function removeKey(call: Call, namespace: string, keyid: string): Promise<Answer> {
  requireIndexKey(call.services.marketplace.authority);
  return await writeMarketplace(call, async (transaction) => {
    const publisher = requireNamespace(call.actor, namespace, await getPublisher(transaction, namespace));
    if (!publisher.keys.some((key) => key.keyid === keyid)) {
      throw new AdminError('NOT_FOUND', `${namespace} has no such key.`);
    }
    if (call.actor.role !== 'owner' && publisher.keys.length === 1) {
      throw new AdminError('IN_USE', 'It is the last key; only an owner takes that away.');
    }
    await deletePublisherKey(transaction, namespace, keyid);
    return await answerKey(call, transaction, { publisher, keyid, verb: 'delete' });
  });
}

/** Finds a publisher. @throws NOT_FOUND */
export async function getPublisher(knex: Knex, namespace: string): Promise<Publisher> {
  const publisher = await findPublisher(knex, namespace);
  if (publisher === undefined) throw new AdminError('NOT_FOUND', 'There is no such publisher.');
  return publisher;
}

async function checkClaim(
  call: Call,
  transaction: Knex.Transaction,
  { body, publishers }: { readonly body: PublisherBody; readonly publishers: readonly Publisher[] },
): Promise<void> {
  if (call.actor.role === 'owner') return await checkToken(transaction, body.token);
  if ((body.level ?? 0) !== 0) throw invalidField('/level', 'expected none; an owner says how well it is verified');
  if ((body.token ?? call.actor.name) !== call.actor.name) {
    throw invalidField('/token', 'expected none; the namespace becomes that of your token');
  }
  const { platformNamespaces } = await readTrustedRoot(transaction, call.services.marketplace.authority);
  if (platformNamespaces.includes(body.namespace)) {
    throw new AdminError('NAMESPACE_FOREIGN', `The namespace ${body.namespace} is the platform's.`);
  }
  if (publishers.filter(({ token }) => token === call.actor.name).length >= MAX_OWN_NAMESPACES) {
    throw new AdminError('CONFLICT', `This token has ${MAX_OWN_NAMESPACES} namespaces; an owner can give it more.`);
  }
}

async function checkToken(transaction: Knex.Transaction, name: string | null | undefined): Promise<void> {
  if (name === null || name === undefined) return;
  const token = (await listTokens(transaction)).find((one) => one.name === name);
  if (token?.role !== 'publisher') throw invalidField('/token', 'expected the name of a token with the role publisher');
}

function readKey(text: string, pointer: string): KeyEntry {
  try {
    return toKeyEntry(readPublicKey(text));
  } catch (error) {
    if (error instanceof PackageError) throw invalidField(pointer, error.message);
    throw error;
  }
}

function checkProof(
  proof: unknown,
  { namespace, keys }: Publisher,
  { keyid, nowMs }: { readonly keyid: string; readonly nowMs: number },
): void {
  const refuse = (message: string): never => {
    throw new AdminError('PACKAGE_REFUSED', `/proof: ${message}.`, { problems: [{ pointer: '/proof', message }] });
  };
  if (proof === undefined) refuse(`expected an envelope signed by a key of ${namespace}`);
  try {
    const envelope: Envelope = readEnvelope(proof);
    const word: unknown = readJson(readPayload(envelope, KEY_PROOF_TYPE));
    const told = word as Readonly<Record<'namespace' | 'keyid' | 'createdAt', unknown>> | null;
    if (told?.namespace !== namespace || told.keyid !== keyid) refuse('it is about another namespace or key');
    // Else a key that was taken away could be brought back with the word that once brought it.
    const isFresh = Math.abs(nowMs - Date.parse(String(told?.createdAt))) <= PROOF_VALID_MS;
    if (!isFresh) refuse('expected a createdAt within the last hour');
    if (verifySignatures(envelope, readKeyEntries(keys)).size === 0) refuse(`not signed by a key of ${namespace}`);
  } catch (error) {
    if (error instanceof PackageError || error instanceof SyntaxError) refuse('it cannot be read');
    throw error;
  }
}

/** Writes the next index, which lists publishers with their keys, and gives the publisher as it now is. */
async function announce(call: Call, transaction: Knex.Transaction, namespace: string): Promise<Publisher> {
  const { marketplace, log } = call.services;
  await makeIndex(transaction, { authority: marketplace.authority, log, nowMs: marketplace.nowMs() });
  return await getPublisher(transaction, namespace);
}

async function answerKey(
  call: Call,
  transaction: Knex.Transaction,
  {
    publisher,
    keyid,
    verb,
  }: { readonly publisher: Publisher; readonly keyid: string; readonly verb: 'create' | 'delete' },
): Promise<MarketplaceWrite> {
  const { namespace } = publisher;
  const after = await announce(call, transaction, namespace);
  const isMade = verb === 'create';
  return {
    answer: isMade ? { status: 201, location: `${PATH}/${namespace}`, body: after } : { status: 204 },
    event: {
      kind: 'publisher-key',
      id: `${namespace}/${keyid}`,
      verb,
      action: `publisher-key.${verb}`,
      diff: [{ pointer: '', [isMade ? 'after' : 'before']: { namespace, keyid } }],
    },
  };
}

function eventOf(id: string, verb: 'create' | 'update', diff: MarketplaceEvent['diff']): MarketplaceEvent {
  return { kind: 'publisher', id, verb, action: `publisher.${verb}`, diff };
}
