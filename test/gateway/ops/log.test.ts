// Facts about the gateway's own log.
// Must not write to the terminal.
import assert from 'node:assert/strict';
import { createLog, type Log } from '../../../gateway/ops/log.ts';

function openLog(level = 'info'): { log: Log; lines: () => Record<string, unknown>[] } {
  const written: string[] = [];
  const log = createLog({ level, fields: { process: 'test' }, destination: { write: (text) => written.push(text) } });
  return { log, lines: () => written.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

describe('log', () => {
  it('writes one JSON object a line with time, level, message and fields', () => {
    const { log, lines } = openLog();

    log.info('a worker serves', { slot: 1 });

    const [line] = lines();
    assert.equal(line?.['level'], 'info');
    assert.equal(line?.['message'], 'a worker serves');
    assert.equal(line?.['slot'], 1);
    assert.equal(line?.['process'], 'test');
    assert.match(String(line?.['time']), /^\d{4}-\d{2}-\d{2}T.*Z$/);
  });

  it('writes nothing below its level', () => {
    const { log, lines } = openLog('warn');

    log.info('quiet');
    log.warn('loud');

    assert.deepEqual(
      lines().map((line) => line['message']),
      ['loud'],
    );
  });

  for (const name of [
    'authorization',
    'Cookie',
    'set-cookie',
    'apikey',
    'X-Api-Key',
    'password',
    'adminToken',
    'secret',
    'keyHash',
  ]) {
    it(`blanks a field named ${name}, however deep`, () => {
      const { log, lines } = openLog();

      log.info('request', { headers: { [name]: 'hunter2' } });

      assert.doesNotMatch(JSON.stringify(lines()), /hunter2/);
    });
  }

  it('blanks the password of a URL in an error message', () => {
    const { log, lines } = openLog();

    log.error('cannot connect', { error: new Error('connect to postgres://app:hunter2@db:5432/x failed') });

    assert.doesNotMatch(JSON.stringify(lines()), /hunter2/);
    assert.match(JSON.stringify(lines()), /db:5432/);
  });

  it('writes an error with its code and cause', () => {
    const { log, lines } = openLog();
    const cause = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });

    log.error('cannot connect', { error: new Error('no database', { cause }) });

    const error = lines()[0]?.['error'] as Record<string, Record<string, unknown>>;
    assert.equal(error['cause']?.['code'], 'ECONNREFUSED');
  });

  it('survives fields that refer to themselves and texts without end', () => {
    const { log, lines } = openLog();
    const loop: Record<string, unknown> = { text: 'x'.repeat(100_000) };
    loop['self'] = loop;

    log.info('odd', { loop, big: 10n });

    assert.ok(JSON.stringify(lines()).length < 100_000);
  });
});
