// What all resources answer alike: entity tags and preconditions, pages of lists, writes with dry run and wait.
// Must not know a kind of entity.
import { createHash } from 'node:crypto';
import type { EntityProblem } from '../gateway/core/check.ts';
import type { Answer, Call } from './call.ts';
import { showChanges } from './document/diff.ts';
import { AdminError } from './errors.ts';
import type { DraftChange } from './publish.ts';

/** Builds the tag of an entity: it changes with every change of the entity. */
export function buildEtag(entity: { readonly id: string; readonly updatedAt: string }): string {
  const digest = createHash('sha256').update(`${entity.id} ${entity.updatedAt}`).digest('base64url');
  return `"${digest.slice(0, 22)}"`;
}

/** Checks If-Match and If-None-Match against what is there. @throws PRECONDITION_FAILED @see RFC 9110 section 13.1 */
export function checkPreconditions(call: Pick<Call, 'ifMatch' | 'ifNoneMatch'>, etag: string | undefined): void {
  const { ifMatch, ifNoneMatch } = call;
  if (ifMatch !== undefined && !isListed(ifMatch, etag)) {
    throw new AdminError('PRECONDITION_FAILED', 'It changed since you read it; read it again.');
  }
  if (ifNoneMatch !== undefined && isListed(ifNoneMatch, etag)) {
    throw new AdminError('PRECONDITION_FAILED', 'It is there already.');
  }
}

/** Says whether a list of entity tags, as conditional headers hold it, names this one. */
export function isListed(header: string, etag: string | undefined): boolean {
  if (etag === undefined) return false;
  const tags = header.split(',').map((tag) => tag.trim());
  return tags.includes('*') || tags.includes(etag);
}

/** Says how to page through items: by a key that is unique and stays put when others come and go. */
export interface ListOptions<Item> {
  readonly keyOf: (item: Item) => string;
  /** What `search` looks into. */
  readonly textOf: (item: Item) => string;
  readonly tagsOf?: (item: Item) => readonly string[];
  readonly show: (item: Item) => unknown;
}

/** Answers one page of a list. @throws QUERY_INVALID for a cursor that none of our pages gave */
export function answerPage<Item>(call: Call, items: Iterable<Item>, options: ListOptions<Item>): Answer {
  const { limit, cursor, search, tag } = call.query;
  const after = cursor === undefined ? undefined : readCursor(cursor);
  const text = search?.toLowerCase();
  const found: { readonly key: string; readonly item: Item }[] = [];
  for (const item of items) {
    if (text !== undefined && !options.textOf(item).toLowerCase().includes(text)) continue;
    if (tag !== undefined && !options.tagsOf?.(item).includes(tag)) continue;
    const key = options.keyOf(item);
    if (after === undefined || key > after) found.push({ key, item });
  }
  found.sort((a, b) => (a.key < b.key ? -1 : 1));
  const page = found.slice(0, limit);
  const last = found.length > limit ? page.at(-1) : undefined;
  return {
    body: { data: page.map(({ item }) => options.show(item)), next: last === undefined ? null : buildCursor(last.key) },
  };
}

/** Builds the cursor that continues after a key. */
export function buildCursor(key: string): string {
  return Buffer.from(JSON.stringify([key])).toString('base64url');
}

/** Reads a cursor. @throws QUERY_INVALID */
export function readCursor(cursor: string): string {
  try {
    const [key]: unknown[] = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (typeof key === 'string') return key;
  } catch {
    // Falls through: whatever it was, it was not ours.
  }
  throw new AdminError('QUERY_INVALID', 'Query parameter cursor: expected the `next` of a page.');
}

/** Says what a write is called, and where its problems point. */
export interface WriteOptions<Value> {
  readonly action: string;
  readonly summary: string;
  /** An installed plugin that must run on every node for the write to be applied. */
  readonly plugin?: string;
  readonly change: DraftChange<Value>;
  /** Builds the answer of a write that was done; `isChanged` tells whether it made the revision. */
  readonly answer: (value: Value, revision: number, isChanged: boolean) => Answer;
  readonly locate?: (problem: EntityProblem) => string;
}

/** Writes, or with `dryRun` shows what it would write; with `wait=applied` waits for the nodes. */
export async function answerWrite<Value>(call: Call, options: WriteOptions<Value>): Promise<Answer> {
  const { publisher, nodes } = call.services;
  const { dryRun = false, wait, waitMs } = call.query;
  const { value, revision, changes } = await publisher.publish(options.change, {
    actor: call.actor.name,
    action: options.action,
    summary: options.summary,
    isDryRun: dryRun,
    ...(options.locate === undefined ? {} : { locate: options.locate }),
  });
  if (dryRun) return { status: 200, body: { isDryRun: true, ...showChanges(changes), problems: [] }, revision };
  const answer = { ...options.answer(value, revision, changes.length > 0), revision };
  if (wait === 'applied') await nodes.waitFor({ revision, plugin: options.plugin }, waitMs, answer.body);
  return answer;
}
