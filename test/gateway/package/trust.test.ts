// The verdict at load: whatever does not agree with all the rest is refused, and said by its name.
import assert from 'node:assert/strict';
import { hashSha256 } from '../../../gateway/package/canonical.ts';
import { addSignature, type Envelope, signEnvelope } from '../../../gateway/package/dsse.ts';
import { generateKeys, toKeyEntry } from '../../../gateway/package/keys.ts';
import { openPackage } from '../../../gateway/package/package.ts';
import { buildStatement, readStatement, STATEMENT_TYPE, signStatement } from '../../../gateway/package/statement.ts';
import {
  type PackageCheck,
  type PluginIndex,
  type VersionState,
  verifyPackage,
} from '../../../gateway/package/trust.ts';
import {
  makeMarket,
  NOW,
  openSampleIndex,
  sampleCheck,
  sampleIndex,
  samplePackage,
  signPackage,
} from '../../support/market/packages.ts';

const MARKET = makeMarket();
const BYTES = samplePackage();
const PACKAGE = openPackage(BYTES);
const CHECK = sampleCheck(MARKET, BYTES);

function codeOf(changes: Partial<PackageCheck>): string {
  const verdict = verifyPackage({ ...CHECK, ...changes });
  return verdict.ok ? `ok, ${verdict.trust}` : verdict.code;
}

function pin(changes: object): PackageCheck['pinned'] {
  return { ...CHECK.pinned, ...changes };
}

function indexWith(changes: Partial<PluginIndex>): PackageCheck['index'] {
  return openSampleIndex(MARKET, { ...sampleIndex(MARKET, [PACKAGE]), ...changes });
}

function inState(state: VersionState, advisory?: string): PackageCheck['index'] {
  const listing = { sha256: PACKAGE.sha256, state, ...(advisory && { advisory }) };
  return indexWith({ plugins: { 'acme/hello': { '1.2.0': listing } } });
}

describe('verifyPackage', () => {
  it('passes a package that publisher and marketplace signed', () => {
    const verdict = verifyPackage(CHECK);

    assert.ok(verdict.ok);
    assert.equal(verdict.trust, 'marketplace');
    assert.equal(verdict.package.manifest.name, 'acme/hello');
    assert.deepEqual(verdict.listing, { sha256: PACKAGE.sha256, state: 'approved' });
  });

  it('passes what is deprecated or yanked: only new bindings are for others to refuse', () => {
    for (const state of ['deprecated', 'yanked'] as const)
      assert.equal(codeOf({ index: inState(state) }), 'ok, marketplace');
  });

  it('refuses what is revoked, and says why', () => {
    const verdict = verifyPackage({ ...CHECK, index: inState('revoked', 'steals keys') });

    assert.ok(!verdict.ok);
    assert.equal(verdict.code, 'REVOKED');
    assert.match(verdict.message, /acme\/hello@1\.2\.0 is revoked: steals keys/);
  });

  it('refuses what is revoked in development too', () => {
    assert.equal(codeOf({ index: inState('revoked'), policy: { require: [] } }), 'REVOKED');
  });

  it('refuses bytes with another digest before it reads any of them', () => {
    assert.equal(codeOf({ bytes: Buffer.from('no package at all') }), 'DIGEST_MISMATCH');
    assert.equal(
      codeOf({ bytes: samplePackage({ files: { 'index.js': 'export const plugin = {};' } }) }),
      'DIGEST_MISMATCH',
    );
  });

  it('refuses bytes that have the pinned digest but are no package', () => {
    const bytes = Buffer.from('no package at all');
    const sha256 = hashSha256(bytes);
    const index = indexWith({ plugins: { 'acme/hello': { '1.2.0': { sha256, state: 'approved' } } } });

    assert.equal(codeOf({ bytes, index, pinned: pin({ sha256 }) }), 'ARCHIVE_INVALID');
  });

  it('refuses a digest that is not the one in the index, though all signed it', () => {
    const plugins = { 'acme/hello': { '1.2.0': { sha256: 'f'.repeat(64), state: 'approved' as const } } };

    assert.equal(codeOf({ index: indexWith({ plugins }) }), 'DIGEST_MISMATCH');
  });

  it('refuses what is not in the index, also under names that every object has', () => {
    assert.equal(codeOf({ index: indexWith({ plugins: {} }) }), 'NOT_IN_INDEX');
    assert.equal(codeOf({ index: indexWith({ plugins: { 'acme/hello': {} } }) }), 'NOT_IN_INDEX');
    assert.equal(codeOf({ index: undefined }), 'NOT_IN_INDEX');
    for (const id of ['__proto__', 'constructor']) {
      assert.equal(codeOf({ pinned: pin({ id }) }), 'NOT_IN_INDEX');
      assert.equal(codeOf({ pinned: pin({ version: id }) }), 'NOT_IN_INDEX');
    }
  });

  it('refuses a package that was installed under another name or version', () => {
    const plugins = {
      'acme/other': { '1.2.0': { sha256: PACKAGE.sha256, state: 'approved' as const } },
      'acme/hello': { '9.9.9': { sha256: PACKAGE.sha256, state: 'approved' as const } },
    };
    const index = indexWith({ plugins });

    assert.equal(codeOf({ index, pinned: pin({ id: 'acme/other' }) }), 'STATEMENT_MISMATCH');
    assert.equal(codeOf({ index, pinned: pin({ version: '9.9.9' }) }), 'STATEMENT_MISMATCH');
  });

  it('refuses a package for another contract', () => {
    for (const contractVersion of ['2.0.0', '0.9.0']) assert.equal(codeOf({ contractVersion }), 'ENGINE_MISMATCH');
  });

  it('refuses a package that asks for more than was granted, and names it', () => {
    const verdict = verifyPackage({ ...CHECK, pinned: pin({ granted: { response: { headers: 'read' } } }) });

    assert.ok(!verdict.ok);
    assert.equal(verdict.code, 'PERMISSIONS_EXCEED_GRANT');
    assert.match(verdict.message, /\/response\/headers/);
  });

  it('passes a package that was granted more than it asks for', () => {
    assert.equal(
      codeOf({ pinned: pin({ granted: { response: { headers: 'write' }, respond: true } }) }),
      'ok, marketplace',
    );
  });
});

describe('verifyPackage, signatures', () => {
  const { publisherKeys, indexKeys, platformKeys, rootKeys } = MARKET;
  const stranger = generateKeys();
  const byPublisher = signPackage(PACKAGE, publisherKeys);
  const byMarketplace = signPackage(PACKAGE, indexKeys);
  const both: PackageCheck['policy'] = { require: ['publisher', 'marketplace'] };
  const cases: readonly (readonly [string, Envelope | undefined, PackageCheck['policy'], string])[] = [
    ['nobody, without an envelope', undefined, both, 'SIGNATURE_MISSING'],
    ['nobody, in an envelope', { ...byPublisher, signatures: [] }, both, 'SIGNATURE_MISSING'],
    ['the publisher alone', byPublisher, both, 'SIGNATURE_MISSING'],
    ['the marketplace alone', byMarketplace, both, 'SIGNATURE_MISSING'],
    ['a stranger', signPackage(PACKAGE, stranger), both, 'SIGNATURE_MISSING'],
    ['a stranger and the marketplace', signPackage(PACKAGE, stranger, indexKeys), both, 'SIGNATURE_MISSING'],
    ['the root and the publisher', signPackage(PACKAGE, rootKeys, publisherKeys), both, 'SIGNATURE_MISSING'],
    [
      'the platform, in a namespace that is not its own',
      signPackage(PACKAGE, platformKeys, indexKeys),
      both,
      'SIGNATURE_MISSING',
    ],
    ['both, and a stranger', signPackage(PACKAGE, publisherKeys, indexKeys, stranger), both, 'ok, marketplace'],
    ['the marketplace, where it suffices', byMarketplace, { require: ['marketplace'] }, 'ok, marketplace'],
    ['the publisher, where the marketplace has to', byPublisher, { require: ['marketplace'] }, 'SIGNATURE_MISSING'],
    ['the publisher, where it suffices', byPublisher, { require: ['publisher'] }, 'ok, unsigned'],
    ['nobody, in development', undefined, { require: [] }, 'ok, unsigned'],
    ['a stranger, in development', signPackage(PACKAGE, stranger), { require: [] }, 'ok, unsigned'],
  ];
  for (const [who, envelope, policy, code] of cases) {
    it(`answers '${code}' when it was signed by ${who}`, () => {
      assert.equal(codeOf({ envelope, policy }), code);
    });
  }

  it('passes without index and envelope in development', () => {
    assert.equal(codeOf({ envelope: undefined, index: undefined, policy: { require: [] } }), 'ok, unsigned');
  });

  it('does not let one publisher sign for another', () => {
    const other = { keys: [toKeyEntry(stranger.publicKey)], level: 3 as const };
    const { publishers } = sampleIndex(MARKET, []);
    const index = indexWith({ publishers: { ...publishers, evil: other } });

    assert.equal(codeOf({ index, envelope: signPackage(PACKAGE, stranger, indexKeys) }), 'SIGNATURE_MISSING');
  });

  it('does not count a key of a publisher that the index no longer lists', () => {
    const publishers = { acme: { keys: [], level: 2 as const } };

    assert.equal(codeOf({ index: indexWith({ publishers }) }), 'SIGNATURE_MISSING');
    assert.equal(codeOf({ index: indexWith({ publishers: {} }) }), 'SIGNATURE_MISSING');
  });

  it('does not take the key of the index for a publisher, though it lists itself', () => {
    const publishers = { acme: { keys: [toKeyEntry(indexKeys.publicKey)], level: 3 as const } };

    assert.equal(codeOf({ index: indexWith({ publishers }), envelope: byMarketplace }), 'SIGNATURE_MISSING');
  });

  it('does not take the signature of an index for one of a statement', () => {
    const text = Buffer.from(JSON.stringify(buildStatement(PACKAGE, { createdAt: NOW })));
    const other = signEnvelope('application/vnd.sallyport.index.v1+json', text, publisherKeys.privateKey);

    assert.equal(codeOf({ envelope: addSignature(other, indexKeys.privateKey) }), 'ENVELOPE_INVALID');
    const renamed = { ...addSignature(other, indexKeys.privateKey), payloadType: STATEMENT_TYPE };
    assert.equal(codeOf({ envelope: renamed }), 'SIGNATURE_MISSING');
  });

  describe('for the platform', () => {
    const bytes = samplePackage({ manifest: { name: 'sallyport/hello' } });
    const pkg = openPackage(bytes);
    const check = sampleCheck(MARKET, bytes);
    const trustOf = (envelope: Envelope, policy: PackageCheck['policy'] = both): string => {
      const verdict = verifyPackage({ ...check, envelope, policy });
      return verdict.ok ? verdict.trust : verdict.code;
    };

    it('asks for the key that the root lists, and for the approval', () => {
      assert.equal(trustOf(signPackage(pkg, platformKeys, indexKeys)), 'platform');
      assert.equal(trustOf(signPackage(pkg, platformKeys)), 'SIGNATURE_MISSING');
      assert.equal(trustOf(signPackage(pkg, platformKeys), { require: ['publisher'] }), 'unsigned');
    });

    it('is not to be had with the keys that are online, though the index names a publisher', () => {
      assert.ok(check.index.publishers['sallyport'], 'somebody took the namespace in the index');
      assert.equal(trustOf(signPackage(pkg, publisherKeys, indexKeys)), 'SIGNATURE_MISSING');
      assert.equal(trustOf(signPackage(pkg, publisherKeys, indexKeys), { require: ['marketplace'] }), 'marketplace');
      assert.equal(trustOf(signPackage(pkg, indexKeys), { require: ['marketplace'] }), 'marketplace');
    });

    it('is not to be had in another namespace', () => {
      const verdict = verifyPackage({
        ...CHECK,
        envelope: signPackage(PACKAGE, platformKeys, publisherKeys, indexKeys),
      });

      assert.ok(verdict.ok);
      assert.equal(verdict.trust, 'marketplace');
    });
  });
});

describe('verifyPackage, a statement about something else', () => {
  const statement = buildStatement(PACKAGE, { createdAt: NOW });
  const signed = (changes: object): Envelope => {
    const envelope = signStatement({ ...statement, ...changes }, MARKET.publisherKeys.privateKey);
    return addSignature(envelope, MARKET.indexKeys.privateKey);
  };
  const digest = 'f'.repeat(64);
  const fields: Readonly<Record<string, object>> = {
    id: { id: 'acme/other' },
    version: { version: '1.2.1' },
    sha256: { sha256: digest },
    manifestSha256: { manifestSha256: digest },
    permissionsSha256: { permissionsSha256: digest },
    configSchemaSha256: { configSchemaSha256: digest },
    'files/index.js': { files: { ...statement.files, 'index.js': digest } },
    'files/more.js': { files: { ...statement.files, 'more.js': digest } },
    'files/README.md': {
      files: Object.fromEntries(Object.entries(statement.files).filter(([name]) => name !== 'README.md')),
    },
  };
  for (const [field, changes] of Object.entries(fields)) {
    it(`refuses another ${field}, though all signed it`, () => {
      const verdict = verifyPackage({ ...CHECK, envelope: signed(changes) });

      assert.ok(!verdict.ok);
      assert.equal(verdict.code, 'STATEMENT_MISMATCH');
      assert.match(verdict.message, new RegExp(`differ in ${field}$`));
    });
  }

  it('refuses it in development too', () => {
    assert.equal(codeOf({ envelope: signed({ sha256: digest }), policy: { require: [] } }), 'STATEMENT_MISMATCH');
  });

  const invalid: Readonly<Record<string, unknown>> = {
    'another type': { ...statement, type: 'sallyport-plugin/v2' },
    'a field that nobody knows': { ...statement, trusted: true },
    'a field that is missing': { ...statement, files: undefined },
    'a source that runs': { ...statement, source: { repository: 'javascript:alert(1)', commit: 'a'.repeat(40) } },
    'a day that does not exist': { ...statement, createdAt: '2026-99-99T00:00:00Z' },
    'a list in its place': [],
  };
  for (const [what, value] of Object.entries(invalid)) {
    it(`refuses a signed statement with ${what}`, () => {
      const envelope = signEnvelope(
        STATEMENT_TYPE,
        Buffer.from(JSON.stringify(value)),
        MARKET.publisherKeys.privateKey,
      );

      assert.equal(codeOf({ envelope: addSignature(envelope, MARKET.indexKeys.privateKey) }), 'STATEMENT_INVALID');
    });
  }

  it('carries the source when there is one', () => {
    const source = { repository: 'https://git.example/acme/hello', commit: 'a'.repeat(40) };

    assert.deepEqual(readStatement(signed({ source })).source, source);
    assert.equal(codeOf({ envelope: signed({ source }) }), 'ok, marketplace');
  });
});
