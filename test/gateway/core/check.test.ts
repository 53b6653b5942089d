// Checking a whole candidate document: every fault is named where it is; what was checked is not checked again.
import assert from 'node:assert/strict';
import { checkChange, checkDocument, type EntityProblem } from '../../../gateway/core/check.ts';
import {
  applyUpdate,
  type DocumentState,
  EMPTY_DOCUMENT,
  gatherIds,
  listChanges,
  readInput,
} from '../../../gateway/core/config.ts';
import type { InstalledPlugin } from '../../../gateway/core/manifest.ts';
import type { Api, Binding, Change, Consumer, Credential } from '../../../gateway/core/model.ts';
import { atOnce } from '../../../gateway/core/slicer.ts';
import { makePlugin } from '../../support/engine.ts';
import { makeApi, makeBinding, makeConsumer, makeRoute, putAll } from '../../support/entities.ts';

function pluginsOf(...names: readonly string[]): ReadonlyMap<string, InstalledPlugin> {
  const configSchema = { type: 'object', additionalProperties: false, properties: { limit: { type: 'integer' } } };
  return new Map(names.map((name) => [name, { ...makePlugin(name, {}), configSchema }]));
}

function documentOf(entities: {
  readonly apis?: readonly Api[];
  readonly bindings?: readonly Binding[];
  readonly consumers?: readonly Consumer[];
  readonly credentials?: readonly Credential[];
}): DocumentState {
  const changes: Change[] = [
    ...putAll(entities),
    ...(entities.consumers ?? []).map((after): Change => ({ kind: 'consumer', id: after.id, after })),
    ...(entities.credentials ?? []).map((after): Change => ({ kind: 'credential', id: after.id, after })),
  ];
  return atOnce(applyUpdate(EMPTY_DOCUMENT, { revision: 1, isReset: true, changes }));
}

function credential(consumerId: string, lookup: string): Credential {
  return {
    id: `c-${lookup}-${consumerId}`,
    consumerId,
    type: 'key-auth',
    lookup,
    data: {},
    tags: [],
    createdAt: '',
    updatedAt: '',
  };
}

function check(document: DocumentState, consumers: 'here' | 'elsewhere' = 'here'): readonly EntityProblem[] {
  const verdict = atOnce(checkDocument(document, { plugins: pluginsOf('p'), consumers }));
  return verdict.ok ? [] : verdict.problems;
}

const route = makeRoute({ id: 'r', paths: ['/'] });
const api = makeApi({ id: 'a', name: 'api', routes: [route] });
const ann = makeConsumer({ id: 'ann', username: 'ann' });

describe('checking a document', () => {
  const FAULTS: readonly (readonly [string, Parameters<typeof documentOf>[0], string])[] = [
    ['two apis of one name', { apis: [api, makeApi({ name: 'api' })] }, '/name'],
    ['an upstream that is not there', { apis: [makeApi({ name: 'x', upstream: { name: 'none' } })] }, '/upstream/name'],
    ['user info in a URL', { apis: [makeApi({ name: 'x', upstream: 'http://u:p@h' })] }, '/upstream'],
    ['a base path with an empty segment', { apis: [makeApi({ name: 'x', upstream: 'http://h/a//b' })] }, '/upstream'],
    ['a base path that does not decode', { apis: [makeApi({ name: 'x', upstream: 'http://h/%zz' })] }, '/upstream'],
    ['a backslash in a URL', { apis: [makeApi({ name: 'x', upstream: 'http://h\\b' })] }, '/upstream'],
    ['a base path with dot segments', { apis: [makeApi({ name: 'x', upstream: 'http://h/a/../b' })] }, '/upstream'],
    ['a route that matches by nothing', { apis: [makeApi({ name: 'x', routes: [makeRoute()] })] }, '/routes/0'],
    [
      'two routes of one name',
      {
        apis: [
          makeApi({
            name: 'x',
            routes: [makeRoute({ name: 'n', paths: ['/'] }), makeRoute({ name: 'n', paths: ['/a'] })],
          }),
        ],
      },
      '/routes/1/name',
    ],
    [
      'an expression that is none',
      { apis: [makeApi({ name: 'x', routes: [makeRoute({ paths: ['/', '~/('] })] })] },
      '/routes/0/paths/1',
    ],
    [
      'an expression that needs backtracking',
      { apis: [makeApi({ name: 'x', routes: [makeRoute({ paths: ['~/(a)\\1'] })] })] },
      '/routes/0/paths/0',
    ],
    [
      'a path that is not canonical',
      { apis: [makeApi({ name: 'x', routes: [makeRoute({ paths: ['/a//b'] })] })] },
      '/routes/0/paths/0',
    ],
    ['a plugin that is not installed', { bindings: [makeBinding({ plugin: 'none' })] }, '/plugin'],
    [
      'a configuration its plugin refuses',
      { bindings: [makeBinding({ plugin: 'p', config: { limit: 'x' } })] },
      '/config/limit',
    ],
    [
      'an unknown key in a configuration',
      { bindings: [makeBinding({ plugin: 'p', config: { nope: 1 } })] },
      '/config/nope',
    ],
    ['the same binding twice', { bindings: [makeBinding({ plugin: 'p' }), makeBinding({ plugin: 'p' })] }, '/scope'],
    ['a scope that does not exist', { bindings: [makeBinding({ plugin: 'p', scope: { api: 'none' } })] }, '/scope/api'],
    [
      'a route of another api',
      {
        apis: [api, makeApi({ id: 'b', name: 'b' })],
        bindings: [makeBinding({ plugin: 'p', scope: { api: 'b', route: 'r' } })],
      },
      '/scope/route',
    ],
    [
      'a consumer that does not exist',
      { bindings: [makeBinding({ plugin: 'p', scope: { consumer: 'none' } })] },
      '/scope/consumer',
    ],
    ['an exclude everywhere', { bindings: [makeBinding({ plugin: 'p', effect: 'exclude' })] }, '/effect'],
    [
      'a mandatory binding that is not global',
      { apis: [api], bindings: [makeBinding({ plugin: 'p', scope: { api: 'a' }, mandatory: true })] },
      '/mandatory',
    ],
    [
      'an exclude of a mandatory plugin',
      {
        apis: [api],
        bindings: [
          makeBinding({ plugin: 'p', mandatory: true }),
          makeBinding({ plugin: 'p', scope: { api: 'a' }, effect: 'exclude' }),
        ],
      },
      '/effect',
    ],
    [
      'a condition with a bad expression',
      { bindings: [makeBinding({ plugin: 'p', when: { paths: ['~('] } })] },
      '/when/paths/0',
    ],
    [
      'a condition that says nothing',
      { bindings: [makeBinding({ plugin: 'p', when: { methods: [], paths: [] } })] },
      '/when',
    ],
    [
      'a condition that would take a mandatory plugin away where it does not match',
      {
        apis: [api],
        bindings: [
          makeBinding({ plugin: 'p', mandatory: true }),
          makeBinding({ plugin: 'p', scope: { api: 'a' }, when: { methods: ['PUT'] } }),
        ],
      },
      '/when',
    ],
    [
      'an expression that would tear its anchors apart',
      { apis: [makeApi({ name: 'x', routes: [makeRoute({ paths: ['~/a)|(?:/b'] })] })] },
      '/routes/0/paths/0',
    ],
    ['two consumers of one name', { consumers: [ann, makeConsumer({ username: 'ann' })] }, '/username'],
    [
      'one credential for two consumers',
      {
        consumers: [ann, makeConsumer({ id: 'bob', username: 'bob' })],
        credentials: [credential('ann', 'k'), credential('bob', 'k')],
      },
      '',
    ],
    [
      'one route in two apis',
      { apis: [api, makeApi({ name: 'x', routes: [makeRoute({ id: 'r', paths: ['/x'] })] })] },
      '/routes/0/id',
    ],
    ['a credential of nobody', { credentials: [credential('none', 'k')] }, '/consumerId'],
  ];
  for (const [what, entities, pointer] of FAULTS) {
    it(`names ${what}`, () => {
      const problems = check(documentOf(entities));

      assert.ok(
        problems.some((problem) => problem.pointer === pointer),
        JSON.stringify(problems),
      );
    });
  }

  it('finds nothing in a good document, and gives it back whole as changes', () => {
    const entities = {
      apis: [api],
      bindings: [
        makeBinding({ plugin: 'p', scope: { api: 'a', route: 'r' } }),
        makeBinding({ plugin: 'p', name: 'two' }),
      ],
      consumers: [ann],
      credentials: [credential('ann', 'k')],
    };
    const document = documentOf(entities);

    assert.deepEqual(check(document), []);
    assert.deepEqual(
      atOnce(applyUpdate(EMPTY_DOCUMENT, { revision: 1, isReset: true, changes: listChanges(document) })),
      document,
    );
  });

  it('accepts scopes of consumers that live elsewhere', () => {
    const document = documentOf({ bindings: [makeBinding({ plugin: 'p', scope: { consumer: 'far' } })] });

    assert.deepEqual(check(document, 'elsewhere'), []);
  });

  it('looks at a change only, among ten thousand apis that are good', () => {
    const options = { plugins: pluginsOf('p'), consumers: 'here' } as const;
    const apis = Array.from({ length: 10_000 }, (_, index) =>
      makeApi({ name: `n${index}`, routes: [makeRoute({ paths: [`~/p${index}`] })] }),
    );
    const first = documentOf({ apis });
    const changes = putAll({ apis: [{ ...(apis[0] ?? api), name: 'renamed' }] });
    const second = atOnce(applyUpdate(first, { revision: 2, isReset: false, changes }));

    const whole = atOnce(checkDocument(first, options));
    assert.ok(whole.ok);
    const steps = [...checkChange(whole.good, second, { ...options, touched: atOnce(gatherIds(changes)) })];

    assert.ok(steps.length < 10, `${steps.length} steps`);
  });

  it('fills defaults and names unknown and missing fields of an input by pointer', () => {
    const good = readInput('api', { name: 'n', upstream: 'http://h', routes: [{ paths: ['/'] }] });
    const bad = readInput('api', { name: '!', routes: [{ paths: '/' }], extra: 1 });

    assert.equal(good.ok && good.value['enabled'], true);
    assert.deepEqual(good.ok && good.value['timeouts'], {
      connectMs: 5_000,
      responseMs: 60_000,
      idleMs: 60_000,
      totalMs: 0,
    });
    assert.deepEqual(bad.ok ? [] : bad.problems.map(({ pointer, code }) => `${code} ${pointer}`).sort(), [
      'INVALID /name',
      'INVALID /routes/0/paths',
      'REQUIRED /upstream',
      'UNKNOWN_FIELD /extra',
    ]);
  });

  it('says what was expected, also of an item that only its list describes', () => {
    const bad = readInput('api', { name: 'n', routes: [{ methods: ['get'], hosts: ['A.example'], pathz: [] }] });

    const messages = new Map(bad.ok ? [] : bad.problems.map(({ pointer, message }) => [pointer, message]));
    assert.match(messages.get('/routes/0/methods/0') ?? '', /expected: HTTP methods, upper case/);
    assert.match(messages.get('/routes/0/hosts/0') ?? '', /expected: Exact \(`api\.example\.com`\)/);
    assert.match(messages.get('/routes/0/pathz') ?? '', /^unknown field; known are id, name, hosts, paths/);
    assert.match(messages.get('/upstream') ?? '', /^required field missing; expected: URL of a single target/);
  });
});
