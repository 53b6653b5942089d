// A hook past its time limit in a guest: one time-out to whoever counts, whichever clock was first.
// Must not test how a hook is cut that stands in a loop: hostile.test.ts does.
import assert from 'node:assert/strict';
import type { FailPolicy } from '../../../gateway/core/manifest.ts';
import type { Logger } from '../../../gateway/core/plugin.ts';
import { openSandbox, type Sandbox } from '../../../gateway/sandbox/sandbox.ts';
import { startGateway, type TestGateway } from '../../support/engine.ts';
import { makeApi, makeBinding, makeRoute, putAll } from '../../support/entities.ts';
import { until } from '../../support/until.ts';
import { type Origin, startOrigin } from '../../support/wire/origin.ts';
import { buildCode, buildManifest, GUEST_TIERS, SILENT } from './support.ts';

const TIMEOUT_MS = 150;
const LATE = 'a plugin hook did not settle in time';
const LOOP = 'for (;;) {}';
const NEVER = 'return new Promise(() => undefined);';

for (const tier of GUEST_TIERS)
  describe(`a hook in tier ${tier} that takes too long`, function () {
    this.timeout(20_000);
    let origin: Origin;
    let sandbox: Sandbox;
    let gateway: TestGateway;
    const incidents: { readonly message: string; readonly linesBefore: number }[] = [];

    beforeEach(async () => {
      incidents.length = 0;
      origin = await startOrigin();
    });

    afterEach(async () => {
      await gateway.close();
      await sandbox.close();
      await origin.close();
    });

    async function start(body: string, failPolicy: FailPolicy): Promise<void> {
      const manifest = buildManifest({ failPolicy, limits: { timeoutMs: TIMEOUT_MS } });
      const log: Logger = {
        ...SILENT,
        // What the sandbox tells, and how much the pipeline had told until then.
        warn: (_, fields) => incidents.push({ message: String(fields?.['message']), linesBefore: gateway.log.length }),
      };
      const code = buildCode({ hooks: `onRequest() { ${body} }` });
      sandbox = await openSandbox({ code, manifest, granted: {}, secrets: {}, tier, log });
      gateway = await startGateway({ plugins: [{ manifest, configSchema: {}, plugin: sandbox.plugin }] });
      const apis = [makeApi({ name: 'api', upstream: origin.url, routes: [makeRoute({ paths: ['/'] })] })];
      await gateway.apply(putAll({ apis, bindings: [makeBinding({ id: 'b-1', plugin: manifest.name })] }));
    }

    async function ask(): Promise<string> {
      const response = await fetch(gateway.url);
      return `${response.status} ${/"code":\s*"(\w+)"/.exec(await response.text())?.[1] ?? ''}`.trim();
    }

    /** Holds this process from before the limit until long after. */
    function beBusy(): void {
      setTimeout(() => {
        const untilMs = performance.now() + 2 * TIMEOUT_MS;
        while (performance.now() < untilMs);
      }, TIMEOUT_MS / 3);
    }

    function told(): readonly unknown[] {
      const [only] = gateway.engine.stats();
      return [only?.errors, only?.timeouts, ...gateway.log.map(({ message, fields }) => [message, fields['hook']])];
    }

    for (const [failPolicy, answer] of [
      ['open', '200'],
      ['closed', '503 PLUGIN_TIMEOUT'],
    ] as const) {
      it(`is one time-out with fail policy ${failPolicy}, also where this process was busy when it was due`, async () => {
        await start(NEVER, failPolicy);

        const quick = await ask();
        beBusy();
        const busy = await ask();

        assert.deepEqual([quick, busy], [answer, answer]);
        assert.deepEqual(told(), [0, 2, [LATE, 'onRequest'], [LATE, 'onRequest']]);
      });

      it(`is told with fail policy ${failPolicy} before its guest is killed for it, and each once`, async () => {
        await start(LOOP, failPolicy);

        const first = await ask();
        await until(() => incidents.length > 0);

        assert.equal(first, answer);
        assert.deepEqual(told(), [0, 1, [LATE, 'onRequest']]);
        const killed = { message: `the plugin held its ${tier} longer than its time limit`, linesBefore: 1 };
        assert.deepEqual(incidents, [killed]);
      });
    }
  });
