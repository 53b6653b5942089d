// Facts about active health checks: how targets are asked, and what the answers change.
// Must not open a connection: the upstream client is a table of answers here.
import assert from 'node:assert/strict';
import { applyUpdate, EMPTY_DOCUMENT } from '../../../../gateway/core/config.ts';
import type { Upstream } from '../../../../gateway/core/model.ts';
import type { TargetAddress, UpstreamClient, UpstreamRequest } from '../../../../gateway/core/ports.ts';
import { atOnce } from '../../../../gateway/core/slicer.ts';
import type { TargetState } from '../../../../gateway/core/upstream/balancer.ts';
import { createHealthChecker, type HealthChecker } from '../../../../gateway/core/upstream/health.ts';
import { createUpstreams, type Upstreams } from '../../../../gateway/core/upstream/upstreams.ts';
import { makeUpstream, putAll } from '../../../support/entities.ts';
import { until } from '../../../support/until.ts';

interface Bench {
  readonly asked: { readonly address: TargetAddress; readonly request: UpstreamRequest }[];
  status: number;
  readonly upstreams: Upstreams;
  serve(...upstreams: readonly Upstream[]): TargetState | undefined;
}

const ACTIVE = { path: '/health', intervalMs: 1, timeoutMs: 1_000, healthyStatuses: [200] } as const;

describe('health checker', () => {
  let checker: HealthChecker;

  afterEach(() => checker.close());

  function open(): Bench {
    const asked: Bench['asked'] = [];
    const client: UpstreamClient = {
      send(address, request, handler) {
        asked.push({ address, request });
        setImmediate(() => {
          handler.onHead(bench.status, []);
          handler.onEnd();
        });
        return { resume() {}, abort() {} };
      },
      close: () => Promise.resolve(),
    };
    const upstreams = createUpstreams(() => 0);
    checker = createHealthChecker({ upstreams, client });
    const bench: Bench = {
      asked,
      status: 200,
      upstreams,
      serve(...served) {
        const changes = putAll({ upstreams: served });
        const document = atOnce(applyUpdate(EMPTY_DOCUMENT, { revision: 1, isReset: true, changes }));
        atOnce(upstreams.prepare(document)).commit();
        checker.update();
        return upstreams.listTargets()[0]?.target;
      },
    };
    return bench;
  }

  function makeChecked(after: number): Upstream {
    return makeUpstream({
      name: 'orders',
      protocol: 'https',
      targets: [{ host: 'a.test', port: 8443, weight: 1 }],
      tls: { verify: false },
      healthChecks: {
        active: { ...ACTIVE, healthyAfter: after, unhealthyAfter: after },
        passive: { failures: 0, ejectMs: 1 },
      },
    });
  }

  it('asks a target with the TLS settings of its upstream, by its own name', () => {
    const bench = open();

    bench.serve(makeChecked(1));

    const [first] = bench.asked;
    assert.equal(first?.address.tls?.verify, false);
    assert.deepEqual([first?.request.target, first?.request.headers], ['/health', ['Host', 'a.test:8443']]);
  });

  it('takes a target for ill after failures in a row, and for well after as many good answers', async () => {
    const bench = open();
    bench.status = 503;
    const target = bench.serve(makeChecked(3));

    await until(() => target?.isPassingChecks === false);
    const failures = bench.asked.length;
    bench.status = 200;
    await until(() => target?.isPassingChecks === true);

    assert.ok(failures >= 3, `${failures} answers`);
    assert.ok(bench.asked.length >= failures + 2, `${bench.asked.length} answers`);
  });

  it('reports a target under every upstream that names it', () => {
    const bench = open();
    const target = { host: 'a.test', port: 80, weight: 1 };
    const upstreams = ['first', 'second'].map((name) => makeUpstream({ name, targets: [target] }));

    bench.serve(...upstreams);

    assert.deepEqual(
      bench.upstreams.listTargets().map(({ upstream }) => upstream),
      ['first', 'second'],
    );
  });

  it('keeps the verdict over a change of the upstream, and forgets it when nobody checks any more', async () => {
    const bench = open();
    bench.status = 503;
    const upstream = makeChecked(1);
    const target = bench.serve(upstream);
    await until(() => target?.isPassingChecks === false);

    bench.serve({ ...upstream, tags: ['changed'] });
    const afterChange = target?.isPassingChecks;
    bench.serve();

    assert.deepEqual([afterChange, target?.isPassingChecks], [false, undefined]);
  });
});
