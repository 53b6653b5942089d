// The resource marketplace/publishers: namespaces and their keys.
// Must not hold a rule: admin/marketplace does.
import { answerPage } from '../../answers.ts';
import type { Answer, Call, RouteSpec } from '../../call.ts';
import {
  addKey,
  changePublisher,
  createPublisher,
  getPublisher,
  type KeyBody,
  type PublisherBody,
  removeKey,
} from '../../marketplace/publishers.ts';
import { listPublishers, type Publisher } from '../../store/marketplace/publishers.ts';
import { readMarketplaceBody } from './answers.ts';

const PATH = '/v1/marketplace/publishers';
const ONE = `${PATH}/:namespace`;

/** Lists the routes of publishers. */
export const PUBLISHER_ROUTES: readonly RouteSpec[] = [
  {
    method: 'GET',
    path: PATH,
    role: 'any',
    summary: 'List publishers',
    gives: 'PublisherList',
    query: ['limit', 'cursor', 'search'],
    handle: list,
  },
  {
    method: 'POST',
    path: PATH,
    role: 'publisher',
    summary: 'Register publisher',
    takes: 'PublisherInput',
    gives: 'Publisher',
    status: 201,
    body: 'json',
    query: ['dryRun'],
    handle: async (call) => createPublisher(call, readMarketplaceBody<PublisherBody>('PublisherInput', call.body)),
  },
  { method: 'GET', path: ONE, role: 'any', summary: 'Show publisher', gives: 'Publisher', handle: show },
  {
    method: 'PATCH',
    path: ONE,
    role: 'owner',
    summary: 'Change publisher',
    takes: 'PublisherChange',
    gives: 'Publisher',
    body: 'merge-patch',
    query: ['dryRun'],
    handle: async (call) => changePublisher(call, namespaceIn(call), readMarketplaceBody('PublisherChange', call.body)),
  },
  {
    method: 'POST',
    path: `${ONE}/keys`,
    role: 'publisher',
    summary: 'Add key to publisher',
    takes: 'PublisherKeyInput',
    gives: 'Publisher',
    status: 201,
    body: 'json',
    query: ['dryRun'],
    handle: async (call) =>
      addKey(call, namespaceIn(call), readMarketplaceBody<KeyBody>('PublisherKeyInput', call.body)),
  },
  {
    method: 'DELETE',
    path: `${ONE}/keys/:keyid`,
    role: 'publisher',
    summary: 'Take key from publisher',
    status: 204,
    query: ['dryRun'],
    handle: async (call) => removeKey(call, namespaceIn(call), call.params['keyid'] ?? ''),
  },
];

function namespaceIn(call: Call): string {
  return call.params['namespace'] ?? '';
}

async function list(call: Call): Promise<Answer> {
  return answerPage<Publisher>(call, await call.services.database.run(listPublishers), {
    keyOf: ({ namespace }) => namespace,
    textOf: ({ namespace, title }) => `${namespace}\n${title}`,
    show: (publisher) => publisher,
  });
}

async function show(call: Call): Promise<Answer> {
  return { body: await call.services.database.run((knex) => getPublisher(knex, namespaceIn(call))) };
}
