// What a document may say about TLS, and what of it is refused.
import assert from 'node:assert/strict';
import { checkDocument } from '../../../../gateway/core/check.ts';
import { applyUpdate, EMPTY_DOCUMENT } from '../../../../gateway/core/config.ts';
import { atOnce } from '../../../../gateway/core/slicer.ts';
import { makeApi, makeCertificateEntity, makeUpstream, putAll } from '../../../support/entities.ts';
import { makeAuthority, makeCertificate } from '../../../support/wire/certificates.ts';

const root = makeAuthority('Root');
const inter = makeAuthority('Intermediate', { issuer: root });
const leaf = makeCertificate({ name: 'leaf', hosts: ['a.test', '*.b.test', '10.0.0.1'], issuer: inter });

function problemsOf(entities: Parameters<typeof putAll>[0]): string[] {
  const state = atOnce(applyUpdate(EMPTY_DOCUMENT, { revision: 1, isReset: true, changes: putAll(entities) }));
  const verdict = atOnce(checkDocument(state, { plugins: new Map(), consumers: 'here' }));
  return verdict.ok ? [] : verdict.problems.map(({ kind, pointer, code }) => `${kind} ${pointer} ${code}`);
}

function entity(
  name: string,
  hosts: readonly string[],
  certificate = leaf.chain,
): ReturnType<typeof makeCertificateEntity> {
  return makeCertificateEntity({ name, hosts, certificate, privateKey: '' });
}

describe('checking what a document says about TLS', () => {
  it('lets a certificate have the names that it is for', () => {
    assert.deepEqual(problemsOf({ certificates: [entity('a', ['a.test', '*.b.test', 'x.b.test', '10.0.0.1'])] }), []);
    assert.deepEqual(problemsOf({ certificates: [entity('a', ['b.test', 'x.y.b.test', '*.a.test', '10.0.0.2'])] }), [
      'certificate /hosts/0 INVALID',
      'certificate /hosts/1 INVALID',
      'certificate /hosts/2 INVALID',
      'certificate /hosts/3 INVALID',
    ]);
  });

  it('refuses two certificates of one name or one host', () => {
    const some = [entity('a', ['a.test']), entity('a', []), entity('b', ['x.b.test', 'a.test'])];

    assert.deepEqual(problemsOf({ certificates: some }), [
      'certificate /name NOT_UNIQUE',
      'certificate /hosts/1 NOT_UNIQUE',
    ]);
  });

  it('goes on with a certificate that has expired: it must not hold up every later change', () => {
    const old = makeCertificate({ name: 'old', hosts: ['old.test'], fromDays: -9, toDays: -1 });

    assert.deepEqual(problemsOf({ certificates: [entity('old', ['old.test'], old.chain)] }), []);
  });

  it('wants authorities that can judge clients', () => {
    const api = (ca: string): ReturnType<typeof makeApi> =>
      makeApi({ name: 'x', clientCertificate: { mode: 'required', ca, forward: false } });
    const cases: readonly (readonly [string, boolean])[] = [
      [root.certificate, true],
      [`# ours\n${inter.certificate}\n${root.certificate}`, true],
      [inter.certificate, false],
      [leaf.certificate, false],
      ['', false],
      [root.certificate + leaf.privateKey, false],
      [root.certificate.repeat(51), false],
    ];

    for (const [index, [ca, isGood]] of cases.entries()) {
      const expected = isGood ? [] : ['api /clientCertificate/ca INVALID'];
      assert.deepEqual(problemsOf({ apis: [api(ca)] }), expected, `case ${index}`);
    }
  });

  it('refuses settings toward targets that would be ignored', () => {
    const upstream = (fields: Partial<ReturnType<typeof makeUpstream>>): string[] =>
      problemsOf({ certificates: [entity('own', [])], upstreams: [makeUpstream({ name: 'u', ...fields })] });
    const ca = root.certificate;

    assert.deepEqual(
      upstream({ protocol: 'https', tls: { verify: true, ca, clientCertificate: { name: 'own' } } }),
      [],
    );
    assert.deepEqual(upstream({ protocol: 'https', tls: { verify: true, ca: leaf.certificate } }), []);
    assert.deepEqual(upstream({ tls: { verify: true, ca } }), ['upstream /protocol INVALID']);
    assert.deepEqual(upstream({ protocol: 'https', tls: { verify: false, ca } }), ['upstream /tls/verify INVALID']);
    assert.deepEqual(upstream({ protocol: 'https', tls: { verify: true, ca: 'x' } }), ['upstream /tls/ca INVALID']);
    assert.deepEqual(upstream({ protocol: 'https', tls: { verify: true, clientCertificate: { name: 'none' } } }), [
      'upstream /tls/clientCertificate/name NOT_FOUND',
    ]);
  });
});
