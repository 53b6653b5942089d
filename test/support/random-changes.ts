// Random updates over few names, so that they collide, dangle, move and come back.
// Must give the same updates for the same seed.
import type { DocumentState } from '../../gateway/core/config.ts';
import type {
  ActiveHealthCheck,
  Api,
  Binding,
  Certificate,
  Change,
  Consumer,
  Credential,
  EntityKind,
  EntityOf,
  Route,
  Scope,
  Upstream,
} from '../../gateway/core/model.ts';
import { makeApi, makeBinding, makeCertificateEntity, makeConsumer, makeRoute, makeUpstream } from './entities.ts';
import { makeCertificate } from './wire/certificates.ts';

/** Gives numbers from 0 to 1, the same for the same seed. */
export function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    // Mulberry32: 32 bits of state are plenty for a test.
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Says how wild the changes are. */
export interface ChangeOptions {
  readonly random: () => number;
  /** How many apis there may be; of the other kinds a few. */
  readonly apis: number;
  /** Also of the kinds that a data plane looks up, and certificates. */
  readonly hasAllKinds: boolean;
}

const PATHS = ['/', '/a', '/a/', '/a/b', '=/a/b', '=/', '~/a/[0-9]+', '~/b.*', '/b'] as const;
const HOSTS = ['h.example', '*.example', 'other.example'] as const;
const GROUPS = ['gold', 'silver'] as const;
/** Stands for any host, because it is for none. */
const { chain: CHAIN } = makeCertificate({ name: 'any' });
const OTHERS = 6;
const CHECK: ActiveHealthCheck = {
  path: '/',
  intervalMs: 1_000,
  timeoutMs: 1_000,
  healthyStatuses: [200],
  healthyAfter: 1,
  unhealthyAfter: 1,
};

/** Makes a source of changes: each call gives a few, of which some break the document. */
export function createChanges({ random, apis, hasAllKinds }: ChangeOptions): (state: DocumentState) => Change[] {
  const below = (count: number): number => Math.floor(random() * count);
  const pick = <Item>(items: readonly Item[]): Item => items[below(items.length)] as Item;
  const often = (share: number): boolean => random() < share;
  const some = <Item>(share: number, items: readonly Item[]): readonly Item[] => (often(share) ? [pick(items)] : []);
  /** Mostly a name of its own, sometimes that of another. */
  const nameOf = (kind: string, index: number, count: number): string => `${kind}-${often(0.9) ? index : below(count)}`;

  const route = (api: number): Route =>
    makeRoute({
      id: `r${often(0.93) ? api * 2 + below(2) : below(apis * 2)}`,
      ...(often(0.5) ? { name: pick(['x', 'y']) } : {}),
      hosts: some(0.4, HOSTS),
      paths: often(0.03) ? ['/a//b'] : [pick(PATHS), ...some(0.5, PATHS), ...some(0.3, [`/api-${api}`])],
      methods: some(0.3, ['GET', 'PUT']),
      headers: often(0.2) ? { 'x-v': ['1'] } : {},
    });
  const api = (index: number): Api =>
    makeApi({
      id: `a${index}`,
      name: nameOf('api', index, apis),
      upstream: often(0.5) ? `http://127.0.0.1:${1 + below(4)}` : { name: nameOf('up', below(3), OTHERS) },
      routes: [route(index), ...(often(0.4) ? [route(index)] : [])],
      enabled: often(0.9),
      tags: [String(random())],
    });
  const upstream = (index: number): Upstream =>
    makeUpstream({
      id: `u${index}`,
      name: nameOf('up', index, OTHERS),
      ...(hasAllKinds && often(0.3)
        ? { protocol: 'https', tls: { verify: true, clientCertificate: { name: nameOf('cert', below(2), 2) } } }
        : {}),
      targets: [
        { host: 'h', port: 1 + below(3), weight: 1 },
        { host: 'h', port: 4, weight: 1 },
      ],
      healthChecks: { passive: { failures: 0, ejectMs: 1 }, ...(often(0.3) ? { active: CHECK } : {}) },
    });
  const certificate = (index: number): Certificate =>
    makeCertificateEntity({
      id: `t${index}`,
      name: nameOf('cert', index, 2),
      hosts: some(0.5, ['a.test', 'b.test']),
      certificate: CHAIN,
      privateKey: '',
    });
  const scope = (): Scope => {
    const index = below(apis);
    const api = `a${index}`;
    const route = `r${often(0.8) ? index * 2 + below(2) : below(apis * 2)}`;
    return pick<Scope>([
      {},
      { api },
      { route },
      { api, route },
      { consumer: `c${below(3)}` },
      { api, group: pick(GROUPS) },
      { group: pick(GROUPS) },
    ]);
  };
  const binding = (index: number): Binding => {
    const within = scope();
    return makeBinding({
      id: `b${index}`,
      plugin: pick(['one', 'two', often(0.05) ? 'none' : 'two']),
      ...(often(0.3) ? { name: 'twin' } : {}),
      scope: within,
      config: often(0.04) ? { limit: 'x' } : { limit: below(9) },
      enabled: often(0.9),
      order: below(3),
      effect: often(0.2) ? 'exclude' : 'apply',
      mandatory: Object.keys(within).length === 0 && often(0.3),
      ...(often(0.1) ? { when: { methods: ['GET'] } } : {}),
    });
  };
  const consumer = (index: number): Consumer =>
    makeConsumer({ id: `c${index}`, username: nameOf('user', index, 3), groups: [...some(0.5, GROUPS)] });
  const credential = (index: number): Credential => {
    const { tags, createdAt, updatedAt } = makeConsumer({ username: '' });
    const lookup = nameOf('key', index, OTHERS);
    return {
      id: `k${index}`,
      consumerId: `c${below(3)}`,
      type: 'key-auth',
      lookup,
      data: {},
      tags,
      createdAt,
      updatedAt,
    };
  };
  const change = (): Change => {
    const isGone = often(0.2);
    const make = <Kind extends EntityKind>(kind: Kind, entity: EntityOf[Kind]): Change =>
      (isGone ? { kind, id: entity.id } : { kind, id: entity.id, after: entity }) as Change;
    const makers = [
      () => make('api', api(below(apis))),
      () => make('api', api(below(apis))),
      () => make('binding', binding(below(OTHERS))),
      () => make('binding', binding(below(OTHERS))),
      () => make('upstream', upstream(below(OTHERS))),
      () => make('certificate', certificate(below(2))),
      () => make('consumer', consumer(below(3))),
      () => make('credential', credential(below(OTHERS))),
    ];
    return pick(hasAllKinds ? makers : makers.slice(0, 5))();
  };
  return (state) => {
    const changes = Array.from({ length: 1 + below(3) }, change);
    // As an admin would, now and then: an entity is written as it is.
    const same = often(0.2) ? [...state.apis.values()].slice(0, 1) : [];
    return [...changes, ...same.map((after): Change => ({ kind: 'api', id: after.id, after }))];
  };
}
