// Tests of the books of one key: what a lease costs the limit until its uses are known.
import assert from 'node:assert/strict';
import { findAccount, freeOf, type Ledger, lend, newLedger, record, settle } from '../../../gateway/limits/ledger.ts';
import type { LimitsReport } from '../../../gateway/limits/messages.ts';

const windows = [{ requests: 10, windowMs: 1_000 }];

function ledgerWithLease(tokens: number): Ledger {
  const ledger = newLedger('binding', 'k', windows);
  lend(ledger, { workerId: 1, lease: 1, tokens, expiresAtMs: 5_200 });
  return ledger;
}

function report(lease: number, uses: readonly number[], returned: number): LimitsReport {
  return { limiter: 'binding', key: 'k', windows, version: 1, waiting: 0, extra: 0, lease, uses, returned };
}

describe('ledger', () => {
  it('counts a leased token as used now for as long as nothing is known of it', () => {
    const ledger = ledgerWithLease(4);

    assert.equal(freeOf(ledger, 5_000), 6);
    assert.equal(freeOf(ledger, 6_199), 6);
  });

  it('moves a token to the time of its use once that is reported, and frees what is returned', () => {
    const ledger = ledgerWithLease(4);

    record(ledger, 1, report(1, [5_010, 1], 3));

    assert.equal(freeOf(ledger, 5_100), 9);
    assert.equal(freeOf(ledger, 6_011), 10);
    assert.equal(findAccount(ledger, 1), undefined);
  });

  it('counts an unreported lease as used at its end', () => {
    const ledger = ledgerWithLease(4);

    settle(ledger, 6_200);

    assert.equal(ledger.leased, 0);
    assert.equal(freeOf(ledger, 6_200), 6);
    assert.equal(freeOf(ledger, 6_201), 10);
  });

  it('takes a late report of a settled lease out of no other lease', () => {
    const ledger = ledgerWithLease(4);
    settle(ledger, 6_200);
    lend(ledger, { workerId: 1, lease: 2, tokens: 3, expiresAtMs: 6_400 });

    record(ledger, 1, report(1, [5_010, 1], 3));

    assert.equal(ledger.leased, 3);
  });

  it('never takes more out of a lease than it holds', () => {
    const ledger = ledgerWithLease(2);

    record(ledger, 1, report(1, [5_010, 5], 9));

    assert.equal(ledger.leased, 0);
    assert.equal(freeOf(ledger, 5_100), 8);
  });
});
