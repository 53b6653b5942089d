// Every byte of what is trusted, changed: nothing that was changed passes.
import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { type Envelope, readEnvelope } from '../../../gateway/package/dsse.ts';
import { PackageError } from '../../../gateway/package/errors.ts';
import { openPackage } from '../../../gateway/package/package.ts';
import { openIndex, openRoot, signIndex, verifyPackage } from '../../../gateway/package/trust.ts';
import { createRandom } from '../../fuzz/random.ts';
import { makeMarket, NOW, sampleCheck, sampleIndex, samplePackage } from '../../support/market/packages.ts';

const MARKET = makeMarket();
const BYTES = samplePackage();
const CHECK = sampleCheck(MARKET, BYTES);
const NOW_MS = Date.parse(NOW);

/** Gives each way to change one byte into another by one bit, and one more by chance. */
function* changesOf(bytes: Buffer): Generator<{ readonly at: number; readonly changed: Buffer }> {
  const random = createRandom(bytes.length);
  for (let at = 0; at < bytes.length; at += 1) {
    for (const flip of [1 << random.below(8), 1 + random.below(255)]) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ flip;
      yield { at, changed };
    }
  }
}

/** Reads an envelope as it travels, as JSON; undefined when it is none any more. */
function parse(bytes: Buffer): Envelope | undefined {
  try {
    return readEnvelope(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
  } catch {
    return undefined;
  }
}

/** Says whether two envelopes say the same in other letters: base64 has two alphabets, JSON two ways to write a letter. */
function isSame(one: Envelope, other: Envelope): boolean {
  const plain = ({ payload, payloadType, signatures }: Envelope): unknown[] => [
    payloadType,
    Buffer.from(payload, 'base64').toString('hex'),
    signatures.map(({ keyid, sig }) => [keyid, Buffer.from(sig, 'base64').toString('hex')]),
  ];
  return JSON.stringify(plain(one)) === JSON.stringify(plain(other));
}

function assertRefused(original: Envelope, open: (envelope: Envelope) => void): void {
  let refused = 0;
  const bytes = Buffer.from(JSON.stringify(original));
  for (const { at, changed } of changesOf(bytes)) {
    const envelope = parse(changed);
    if (envelope && isSame(envelope, original)) continue;
    refused += 1;
    if (envelope)
      assert.throws(() => open(envelope), PackageError, `byte ${at}: ${changed.subarray(at - 10, at + 10)}`);
  }
  assert.ok(refused > bytes.length * 1.9, `${refused} changes of ${bytes.length} bytes were tried`);
}

describe('a byte changed', () => {
  it('in a package makes it another package', () => {
    for (const { at, changed } of changesOf(BYTES)) {
      const verdict = verifyPackage({ ...CHECK, bytes: changed });

      assert.ok(!verdict.ok && verdict.code === 'DIGEST_MISMATCH', `byte ${at}`);
    }
  });

  it('in a package, with the digest pinned anew, leaves it without a statement', () => {
    let opened = 0;
    for (const { at, changed } of changesOf(BYTES)) {
      let sha256: string;
      try {
        ({ sha256 } = openPackage(changed));
        opened += 1;
      } catch (error) {
        assert.ok(error instanceof PackageError, `byte ${at}: ${error}`);
        continue;
      }
      const { name: id, version } = openPackage(changed).manifest;
      const plugins = { [id]: { [version]: { sha256, state: 'approved' as const } } };
      const index = { ...CHECK.index, plugins };
      const verdict = verifyPackage({ ...CHECK, bytes: changed, index, pinned: { ...CHECK.pinned, sha256 } });

      assert.ok(!verdict.ok && verdict.code === 'STATEMENT_MISMATCH', `byte ${at}`);
    }
    // The bits that fill up the last byte of the compressed data belong to nobody.
    assert.ok(opened <= 2, `${opened} changed packages could be opened`);
  });

  it('in a statement or its signatures leaves nobody who signed it', () => {
    assertRefused(CHECK.envelope, (envelope) => {
      const verdict = verifyPackage({ ...CHECK, envelope });
      if (!verdict.ok) throw new PackageError(verdict.code, verdict.message);
    });
  });

  it("in an index makes it nobody's", () => {
    const original = signIndex(sampleIndex(MARKET, [openPackage(BYTES)]), MARKET.indexKeys.privateKey);
    const root = openRoot(MARKET.rootEnvelope, MARKET.pinnedKeys);

    assertRefused(original, (envelope) => openIndex(envelope, root, { minVersion: 1, nowMs: NOW_MS }));
  });

  it("in a root makes it nobody's", () => {
    assertRefused(MARKET.rootEnvelope, (envelope) => openRoot(envelope, MARKET.pinnedKeys));
  });
});

describe('the time a verdict takes', () => {
  it('is short enough to ask at every load', () => {
    const random = createRandom(7);
    // What bundled code comes to: 100 KiB that compress to about a third.
    const words = Array.from({ length: 500 }, () => random.below(1e9).toString(36));
    const code = Array.from({ length: 15_000 }, () => words[random.below(500)]).join(' ');
    const check = sampleCheck(MARKET, samplePackage({ files: { 'index.js': code.slice(0, 102_400) } }));
    const tookMs: number[] = [];
    for (let round = 0; round < 30; round += 1) {
      const startMs = performance.now();
      assert.ok(verifyPackage(check).ok);
      tookMs.push(performance.now() - startMs);
    }

    const medianMs = tookMs.toSorted((a, b) => a - b)[15] ?? 0;
    // A generous bound for a busy machine; a verdict that hashes, unpacks and verifies once takes a few milliseconds.
    assert.ok(medianMs < 50, `the median is ${medianMs} ms`);
  });
});
