// What two versions do differently: found, named, and counted over many exchanges.
import assert from 'node:assert/strict';
import {
  addComparisons,
  addExchange,
  type Comparison,
  type Example,
  NOTHING_COMPARED,
} from '../../../../gateway/core/shadow/comparison.ts';
import {
  type Difference,
  diffEffects,
  type EffectLines,
  type Effects,
  nameDifference,
} from '../../../../gateway/core/shadow/effects.ts';
import { createRandom } from '../../../fuzz/random.ts';

const ROUNDS = 2_000;

const PLAIN: Effects = {
  outcome: 'went on',
  code: undefined,
  status: 200,
  id: 'one',
  consumer: undefined,
  path: '/orders',
  query: '',
  requestHeaders: [['accept', '*/*']],
  responseHeaders: [],
  requestBody: undefined,
  responseBody: undefined,
};

describe('the difference of effects', () => {
  const random = createRandom(20_261_123);
  const pick = <Value>(values: readonly Value[]): Value => values[random.below(values.length)] as Value;
  const lines = (): EffectLines =>
    Array.from(
      { length: random.below(4) },
      () => [pick(['a', 'b', '__proto__']), pick(['1', '2', '["1","2"]'])] as const,
    );
  const body = (): Effects['requestBody'] => pick([undefined, { bytes: 1, digest: 'x' }, { bytes: 1, digest: 'y' }]);
  const effects = (): Effects => ({
    outcome: pick(['went on', 'went on', 'answered', 'refused', 'failed']),
    code: pick([undefined, 'FORBIDDEN', 'UNAUTHENTICATED']),
    status: pick([undefined, 200, 403]),
    id: 'one',
    consumer: pick([undefined, 'alice', 'bob']),
    path: pick(['/a', '/b']),
    query: pick(['', 'a=1']),
    requestHeaders: lines(),
    responseHeaders: lines(),
    requestBody: body(),
    responseBody: body(),
  });

  it('is nothing between a version and itself, whatever it does', () => {
    for (let round = 0; round < ROUNDS; round++) {
      const one = effects();

      assert.deepEqual(diffEffects(one, structuredClone(one)), []);
    }
  });

  it('is the same from both sides, with the sides exchanged', () => {
    const turned = { added: 'removed', removed: 'added', changed: 'changed' } as const;
    for (let round = 0; round < ROUNDS; round++) {
      const [one, other] = [effects(), effects()];

      const back = diffEffects(other, one).map(({ installed, candidate, kind, ...rest }) => ({
        ...rest,
        kind: turned[kind],
        ...(candidate !== undefined && { installed: candidate }),
        ...(installed !== undefined && { candidate: installed }),
      }));

      assert.deepEqual(back, diffEffects(one, other));
    }
  });

  it('misses nothing that differs, and names nothing twice', () => {
    const values = (from: EffectLines): string =>
      JSON.stringify(
        ['a', 'b', '__proto__'].map((name) => from.flatMap((line) => (line[0] === name ? [line[1]] : []))),
      );
    for (let round = 0; round < ROUNDS; round++) {
      const [one, other] = [effects(), effects()];

      const found = diffEffects(one, other);

      const keys = ['outcome', 'code', 'status'] as const;
      const more = ['consumer', 'path', 'query'] as const;
      const doesDiffer =
        keys.some((key) => one[key] !== other[key]) ||
        more.some((key) => one[key] !== other[key]) ||
        values(one.requestHeaders) !== values(other.requestHeaders) ||
        values(one.responseHeaders) !== values(other.responseHeaders) ||
        one.requestBody?.digest !== other.requestBody?.digest ||
        one.responseBody?.digest !== other.responseBody?.digest;
      assert.equal(found.length > 0, doesDiffer, JSON.stringify([one, other]));
      assert.equal(new Set(found.map(({ place, name }) => `${place} ${name}`)).size, found.length);
    }
  });

  it('tells of headers what was added, removed and changed, with the values', () => {
    const candidate: Effects = { ...PLAIN, requestHeaders: [['x-new', '1']], responseHeaders: [['x', 'b']] };

    const found = diffEffects({ ...PLAIN, responseHeaders: [['x', 'a']] }, candidate);

    assert.deepEqual(found, [
      { place: 'request header', name: 'accept', kind: 'removed', installed: '*/*' },
      { place: 'request header', name: 'x-new', kind: 'added', candidate: '1' },
      { place: 'response header', name: 'x', kind: 'changed', installed: 'a', candidate: 'b' },
    ] satisfies readonly Difference[]);
    assert.deepEqual(found.map(nameDifference).at(-1), 'response header x changed');
  });

  it('tells of two that end differently only how they end', () => {
    const refused: Effects = { ...PLAIN, outcome: 'refused', code: 'FORBIDDEN', status: 403, requestHeaders: [] };

    assert.deepEqual(
      diffEffects(PLAIN, refused).map(({ place }) => place),
      ['outcome', 'code', 'status'],
    );
  });

  it('shows of bodies their sizes alone', () => {
    const [one, other] = [
      { bytes: 3, digest: 'x' },
      { bytes: 3, digest: 'y' },
    ];

    const found = diffEffects({ ...PLAIN, requestBody: one }, { ...PLAIN, requestBody: other });

    assert.deepEqual(found, [
      { place: 'request body', kind: 'changed', installed: '3 bytes', candidate: '3 bytes' },
    ] satisfies readonly Difference[]);
  });
});

describe('a comparison', () => {
  const example = (...names: readonly string[]): Example => ({
    ...{ method: 'GET', host: 'a.test', path: '/', api: 'api', route: 'route' },
    differences: names.map((name) => ({ place: 'response header', name, kind: 'added' })),
  });
  const addAll = (examples: readonly Example[]): Comparison =>
    examples.reduce((sum, one) => addExchange(sum, one), NOTHING_COMPARED);

  it('counts exchanges, and in how many of them each kind was found', () => {
    const sum = addAll([example(), example('a'), example('a', 'b'), example()]);

    assert.deepEqual([sum.compared, sum.differing], [4, 2]);
    assert.deepEqual(sum.kinds, { 'response header a added': 2, 'response header b added': 1 });
  });

  it('comes to the same when it is added up in parts', () => {
    const examples = ['a', 'b', 'a', 'c', 'a'].map((name) => example(name));

    const parts = addComparisons(addAll(examples.slice(0, 2)), addAll(examples.slice(2)));

    assert.deepEqual(parts, addAll(examples));
  });

  it('shows one example of each kind before more of one kind', () => {
    const sum = addAll([...new Array(9).fill('a'), 'b'].map((name) => example(name)));

    assert.equal(sum.examples.length, 5);
    assert.deepEqual(sum.examples.map(({ differences }) => differences[0]?.name).slice(0, 2), ['a', 'b']);
  });

  it('stays small however many names a plugin thinks of', () => {
    const sum = addAll(Array.from({ length: 200 }, (_, at) => example(`x-${at}`)));

    assert.equal(Object.keys(sum.kinds).length, 51);
    assert.equal(sum.kinds['others'], 150);
  });
});
