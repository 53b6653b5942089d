// Turns a whole configuration document into changes of a draft: all of it or nothing.
// Must not check what checkDocument checks, and must not hash passwords: seal.ts did.
import { bindingKey, type EntityProblem } from '../../gateway/core/check.ts';
import { KINDS, mapOf } from '../../gateway/core/config.ts';
import { findAmong, type PluginFinder } from '../../gateway/core/document/installs.ts';
import type { Api, Credential, EntityKind, EntityOf } from '../../gateway/core/model.ts';
import { createSlicer, type Slicer } from '../../gateway/core/slicer.ts';
import { hashKey } from '../../gateway/sources/secrets.ts';
import { AdminError, invalidField } from '../errors.ts';
import { putUpstream, toApi, toConsumer, toEntity } from './apis.ts';
import { type ScopeFinder, toBinding } from './bindings.ts';
import { putCertificate, toCertificate } from './certificates.ts';
import { toCredential } from './credentials.ts';
import { buildDiffs, showChanges } from './diff.ts';
import { type Draft, nameOf } from './draft.ts';
import { type OfferedVersion, putInstall, toInstall } from './installs.ts';
import { ProblemCollector } from './problems.ts';
import { type Input, isId } from './read.ts';
import type { Item, ReadConfig } from './read-config.ts';

/** A kind with so many entities may not lose more than half of them unasked. */
const SHRINK_GUARD_MIN = 4;

/** Says how a document is applied. */
export interface ImportOptions {
  /** Leaves alone what the document does not list. */
  readonly isMerge: boolean;
  readonly allowShrink: boolean;
  /** Tells the changes beside the refusal of a shrink. */
  readonly isDryRun?: boolean;
  /** Plugins in folders. */
  readonly plugins: PluginFinder;
  /** Finds a version in the marketplace. */
  readonly findVersion: (plugin: string, version: string) => Promise<OfferedVersion | undefined>;
  readonly secretKey: Uint8Array;
}

/** Applies a document to a draft. Gives the function that finds an entity's place in the document. */
export async function applyConfig(
  draft: Draft,
  config: ReadConfig,
  options: ImportOptions,
): Promise<(problem: EntityProblem) => string> {
  const run = new ImportRun(draft, options, createSlicer());
  const nowMs = Date.now();
  await run.putNamed('certificate', config.sections.certificates, (input, existing) =>
    putCertificate(draft, toCertificate(input, { existing, secretKey: options.secretKey, nowMs })),
  );
  await run.putNamed('upstream', config.sections.upstreams, (input, existing) =>
    putUpstream(draft, toEntity<'upstream'>(input, existing)),
  );
  await run.putNamed('api', config.sections.apis, (input, existing) => draft.put('api', toApi(input, existing)));
  await run.putNamed('consumer', config.sections.consumers, (input, existing, item) => {
    const consumer = draft.put('consumer', toConsumer(input, existing));
    for (const one of config.credentials.get(item) ?? []) run.putCredential(one, consumer.id);
    return consumer;
  });
  const offered = await findOffered(config.sections.installs, options);
  await run.putNamed('install', config.sections.installs, (input, existing, item) =>
    putInstall(draft, toInstall(input, { existing, offered: offered.get(item), secretKey: options.secretKey })),
  );
  run.removeUnlisted(['certificate', 'upstream', 'api', 'consumer', 'credential', 'install']);
  await run.putBindings(config.sections.bindings);
  run.removeUnlisted(['binding']);
  run.collector.finish();
  if (!options.isMerge && !options.allowShrink) await checkShrink(draft, options);
  return ({ kind, id, pointer }) => `${run.pointers.get(`${kind} ${id}`) ?? `/${kind}s/${id}`}${pointer}`;
}

async function findOffered(items: readonly Item[], options: ImportOptions): Promise<ReadonlyMap<Item, OfferedVersion>> {
  const found = new Map<Item, OfferedVersion>();
  for (const item of items) {
    const { plugin, version } = item.input;
    const offered = await options.findVersion(String(plugin), String(version));
    if (offered !== undefined) found.set(item, offered);
  }
  return found;
}

class ImportRun {
  readonly collector = new ProblemCollector();
  readonly pointers = new Map<string, string>();
  readonly #draft: Draft;
  readonly #options: ImportOptions;
  readonly #slicer: Slicer;
  readonly #credentialIds = new Map<string, string>();

  constructor(draft: Draft, options: ImportOptions, slicer: Slicer) {
    this.#draft = draft;
    this.#options = options;
    this.#slicer = slicer;
    for (const { id, type, lookup } of draft.base.credentials.values())
      this.#credentialIds.set(`${type} ${lookup}`, id);
  }

  /** Puts entities in the place of those with their id, else with their name. */
  async putNamed<Kind extends 'certificate' | 'api' | 'upstream' | 'consumer' | 'install'>(
    kind: Kind,
    items: readonly Item[],
    put: (input: Input, existing: EntityOf[Kind] | undefined, item: Item) => EntityOf[Kind],
  ): Promise<void> {
    const base = mapOf(this.#draft.base, kind);
    const byName = new Map([...base.values()].map((entity) => [nameOf(kind, entity), entity]));
    for (const item of items) {
      await this.#slicer.step();
      const { id, name, username, plugin } = item.input;
      const known = kind === 'consumer' ? username : kind === 'install' ? plugin : name;
      const existing = typeof id === 'string' ? base.get(id) : byName.get(String(known));
      const entity = this.collector.attempt(() => put(item.input, existing, item), item.pointer);
      if (entity !== undefined) this.#place(kind, entity.id, item.pointer);
    }
  }

  putCredential(item: Item, consumerId: string): void {
    const { secretKey } = this.#options;
    const { id, type, key, keyHash } = item.input;
    const known =
      typeof id === 'string' ? this.#draft.base.credentials.get(id) : this.#findCredential(item.input, consumerId);
    this.collector.attempt(() => {
      if (type === 'key-auth' && known === undefined && key === undefined && keyHash === undefined) {
        throw invalidField('/key', 'required field missing: a key made here would be shown to nobody');
      }
      const { credential } = toCredential(item.input, { consumerId, existing: known, secretKey });
      this.#place('credential', this.#draft.put('credential', credential).id, item.pointer);
    }, item.pointer);
  }

  async putBindings(items: readonly Item[]): Promise<void> {
    const finder = createFinder(this.#draft);
    const plugins = findAmong(this.#options.plugins, this.#draft.all('install').values());
    const byKey = new Map([...this.#draft.base.bindings.values()].map((binding) => [bindingKey(binding), binding.id]));
    for (const item of items) {
      await this.#slicer.step();
      this.collector.attempt(() => {
        const made = toBinding(item.input, undefined, finder, plugins);
        const known = item.input['id'] === undefined ? byKey.get(bindingKey(made)) : undefined;
        const binding = this.#draft.put('binding', known === undefined ? made : { ...made, id: known });
        this.#place('binding', binding.id, item.pointer);
      }, item.pointer);
    }
  }

  /** In a replacement, removes what the document does not list. */
  removeUnlisted(kinds: readonly EntityKind[]): void {
    if (this.#options.isMerge) return;
    for (const kind of kinds) {
      for (const id of mapOf(this.#draft.base, kind).keys()) {
        if (!this.pointers.has(`${kind} ${id}`)) this.#draft.remove(kind, id);
      }
    }
  }

  /** Finds the credential of this consumer with the same type and lookup: a document without ids says the same one again. */
  #findCredential({ type, username, key, keyHash }: Input, consumerId: string): Credential | undefined {
    const hash = keyHash ?? (key === undefined ? undefined : hashKey(String(key)));
    const lookup = type === 'key-auth' ? hash : type === 'basic-auth' ? username : key;
    const id = this.#credentialIds.get(`${String(type)} ${String(lookup)}`);
    const found = id === undefined ? undefined : this.#draft.base.credentials.get(id);
    return found?.consumerId === consumerId ? found : undefined;
  }

  #place(kind: EntityKind, id: string, pointer: string): void {
    const key = `${kind} ${id}`;
    const earlier = this.pointers.get(key);
    if (earlier !== undefined) this.collector.add(pointer, `the same ${kind} as ${earlier}`);
    this.pointers.set(key, pointer);
  }
}

/** Indexes what scopes may name; a document has too many bindings to search through the apis for each. */
function createFinder(draft: Draft): ScopeFinder {
  const apis = draft.all('api');
  const consumers = draft.all('consumer');
  const apiNames = new Map([...apis.values()].map((api) => [api.name, api]));
  const consumerNames = new Map([...consumers.values()].map((consumer) => [consumer.username, consumer]));
  const routeOwners = new Map<string, Api[]>();
  const own = (ref: string, api: Api): void => {
    const owners = routeOwners.get(ref);
    if (owners === undefined) routeOwners.set(ref, [api]);
    else owners.push(api);
  };
  for (const api of apis.values()) {
    for (const route of api.routes) {
      own(route.id, api);
      if (route.name !== undefined) own(route.name, api);
    }
  }
  return {
    findApi: (ref) => (isId(ref) ? apis.get(ref) : apiNames.get(ref)),
    findConsumer: (ref) => (isId(ref) ? consumers.get(ref) : consumerNames.get(ref)),
    findRouteOwners: (ref) => routeOwners.get(ref) ?? [],
  };
}

/** @throws SHRINK_REFUSED for a replacement that looks like an accident: empty, or most of a kind gone */
async function checkShrink(draft: Draft, { isDryRun }: ImportOptions): Promise<void> {
  const counts = KINDS.map((kind) => {
    const before = mapOf(draft.base, kind);
    const after = draft.all(kind);
    return {
      kind,
      before: before.size,
      removed: [...before.keys()].filter((id) => !after.has(id)).length,
      after: after.size,
    };
  });
  const isEmptied = counts.some(({ before }) => before > 0) && counts.every(({ after }) => after === 0);
  const shrunk = counts.filter(({ before, removed }) => before >= SHRINK_GUARD_MIN && removed > before / 2);
  if (!isEmptied && shrunk.length === 0) return;
  const losses = counts
    .filter(({ removed }) => removed > 0)
    .map(({ kind, before, removed }) => `${removed} of ${before} ${kind}s`);
  throw new AdminError(
    'SHRINK_REFUSED',
    `It would remove ${losses.join(', ')}. Say ?allowShrink=true if that is meant.`,
    isDryRun ? { facts: showChanges(await buildDiffs(draft.changes())) } : {},
  );
}
