// Installed plugins in a real gateway: versions swap under requests, and what fails to load harms nobody else.
import assert from 'node:assert/strict';
import type { Binding, Install } from '../../../../gateway/core/model.ts';
import type { LoadedPlugin } from '../../../../gateway/core/pipeline.ts';
import { GatewayError, type Plugin } from '../../../../gateway/core/plugin.ts';
import type { LoadedInstall, PluginSource } from '../../../../gateway/core/setup/source.ts';
import { startGateway, type TestGateway } from '../../../support/engine.ts';
import { makeApi, makeBinding, makeInstall, makeRoute, putAll } from '../../../support/entities.ts';
import { until } from '../../../support/until.ts';
import { headerOf, type Origin, startOrigin } from '../../../support/wire/origin.ts';

type Hooks = Plugin<unknown, unknown>;

/** Loads versions from a table, and notes which are open. */
class FakeSource implements PluginSource {
  readonly open = new Set<string>();
  readonly hooks: Record<string, Hooks> = {};
  readonly broken = new Set<string>();
  readonly revoked = new Set<string>();
  readonly #loaded = new Map<string, LoadedPlugin>();

  async load(install: Install, running: LoadedPlugin | undefined): Promise<LoadedInstall> {
    const { version, manifest, configSchema } = install;
    const mayGoOn = running === undefined || !this.revoked.has(running.manifest.version);
    if (this.broken.has(version) || this.revoked.has(version)) {
      return { loaded: undefined, problem: { pointer: '', code: 'TEST', message: `${version} is broken` }, mayGoOn };
    }
    const known = this.#loaded.get(version);
    if (known && this.open.has(version)) {
      known.lease?.take();
      return { loaded: known, problem: undefined, mayGoOn };
    }
    let users = 1;
    this.open.add(version);
    const lease = {
      take: () => {
        users += 1;
      },
      release: () => {
        users -= 1;
        if (users === 0) this.open.delete(version);
      },
    };
    const loaded = { manifest, configSchema, plugin: this.hooks[version] ?? stamp(version), lease };
    this.#loaded.set(version, loaded);
    return { loaded, problem: undefined, mayGoOn };
  }
}

function stamp(version: string): Hooks {
  return { onRequest: (exchange) => exchange.request.headers.set('x-stamp', version) };
}

describe('installed plugins in a gateway', () => {
  let origin: Origin;
  let gateway: TestGateway;
  let source: FakeSource;
  const install = (version: string, fields: Partial<Install> = {}): Install =>
    makeInstall({ id: 'i-1', plugin: 'acme/stamp', version, ...fields });
  const bound = makeBinding({ id: 'b-1', plugin: 'acme/stamp' });

  beforeEach(async () => {
    origin = await startOrigin();
    source = new FakeSource();
    gateway = await startGateway({ installs: source });
    const routes = [makeRoute({ paths: ['/'] })];
    await gateway.apply(putAll({ apis: [makeApi({ name: 'api', upstream: origin.url, routes })] }));
  });

  afterEach(async () => {
    await gateway.close();
    await origin.close();
  });

  const put = (one: Install, bindings: readonly Binding[] = []): Promise<void> =>
    gateway.apply(putAll({ installs: [one], bindings }));

  async function ask(): Promise<string | number> {
    const response = await fetch(gateway.url);
    await response.text();
    return response.status === 200 ? (headerOf(origin.seen.at(-1), 'x-stamp')[0] ?? 'none') : response.status;
  }

  it('puts another version to work in every binding, and closes the one before', async () => {
    await put(install('1.0.0'), [bound]);
    assert.equal(await ask(), '1.0.0');

    await put(install('2.0.0'));

    assert.equal(await ask(), '2.0.0');
    assert.deepEqual([...source.open], ['2.0.0']);
    assert.deepEqual(gateway.engine.installs(), [
      { plugin: 'acme/stamp', wanted: '2.0.0', running: '2.0.0', problem: null },
    ]);
  });

  it('keeps the code of a version until the last exchange on it has ended', async () => {
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    let hasBegun = false;
    source.hooks['1.0.0'] = {
      onRequest: () => {
        hasBegun = true;
        return held;
      },
    };
    await put(install('1.0.0'), [bound]);
    const slow = fetch(gateway.url);
    await until(() => hasBegun);

    await put(install('2.0.0'));

    assert.deepEqual([...source.open].sort(), ['1.0.0', '2.0.0']);
    letGo();
    assert.equal((await slow).status, 200);
    await until(() => source.open.size === 1);
    assert.deepEqual([...source.open], ['2.0.0']);
  });

  it('goes on with the version that runs when the next does not load, and takes it up when it does', async () => {
    await put(install('1.0.0'), [bound]);
    source.broken.add('2.0.0');

    await put(install('2.0.0'));

    assert.equal(await ask(), '1.0.0');
    const [report] = gateway.engine.installs();
    assert.deepEqual([report?.wanted, report?.running, report?.problem?.code], ['2.0.0', '1.0.0', 'TEST']);
    source.broken.clear();
    await put(install('2.0.0'));
    assert.equal(await ask(), '2.0.0');
    assert.equal(gateway.engine.installs()[0]?.problem, null);
  });

  it('goes on with the version that runs when a binding cannot be set up with the next', async () => {
    await put(install('1.0.0'), [bound]);
    source.hooks['2.0.0'] = {
      setup: () => {
        throw new Error('not with me');
      },
    };

    await put(install('2.0.0'));

    assert.equal(await ask(), '1.0.0');
    assert.deepEqual([...source.open], ['1.0.0']);
    const [report] = gateway.engine.installs();
    assert.deepEqual([report?.running, report?.problem?.code], ['1.0.0', 'SETUP_FAILED']);
  });

  it('refuses requests, and no revision, where a closed plugin never ran', async () => {
    source.broken.add('1.0.0');

    await put(install('1.0.0'), [bound]);

    assert.equal(await ask(), 503);
    source.broken.clear();
    await put(install('1.0.0'));
    assert.equal(await ask(), '1.0.0');
  });

  it('lets requests pass where an open plugin never ran, but not past one that authenticates', async () => {
    source.broken.add('1.0.0');
    const { manifest } = install('1.0.0');

    await put(install('1.0.0', { manifest: { ...manifest, failPolicy: 'open' } }), [bound]);

    assert.equal(await ask(), 'none');
    await put(install('1.0.0', { manifest: { ...manifest, failPolicy: 'open', stage: 'authenticate' } }));
    assert.equal(await ask(), 503);
  });

  it('stops a version that was revoked, also when nothing takes its place', async () => {
    await put(install('1.0.0'), [bound]);
    source.revoked.add('1.0.0');

    await put(install('1.0.0'));

    assert.equal(await ask(), 503);
    assert.equal(gateway.engine.installs()[0]?.running, null);
    assert.deepEqual([...source.open], []);
  });

  it('keeps the set-up in force when a changed configuration cannot be set up', async () => {
    source.hooks['1.0.0'] = {
      setup: (config) => {
        if ((config as { bad?: boolean }).bad) throw new Error('bad configuration');
      },
      ...stamp('1.0.0'),
    };
    await put(install('1.0.0'), [bound]);

    await gateway.apply(putAll({ bindings: [{ ...bound, config: { bad: true } }] }));

    assert.equal(await ask(), '1.0.0');
    assert.match(gateway.engine.installs()[0]?.problem?.message ?? '', /bad configuration/);
    await gateway.apply(putAll({ bindings: [{ ...bound, config: {} }] }));
    assert.equal(gateway.engine.installs()[0]?.problem, null);
  });

  it('gives nothing back twice when a revision with an upgrade is thrown away', async () => {
    await put(install('1.0.0'), [bound]);

    const prepared = await gateway.engine.prepare({
      revision: 9,
      isReset: false,
      changes: putAll({ installs: [install('2.0.0')] }),
    });
    assert.ok(prepared.ok);
    prepared.discard();

    await until(() => source.open.size === 1);
    assert.deepEqual([...source.open], ['1.0.0']);
    assert.equal(await ask(), '1.0.0');
  });

  it('removes an install with its last binding', async () => {
    await put(install('1.0.0'), [bound]);

    await gateway.apply([
      { kind: 'binding', id: 'b-1' },
      { kind: 'install', id: 'i-1' },
    ]);

    assert.equal(await ask(), 'none');
    assert.deepEqual([...source.open], []);
    assert.deepEqual(gateway.engine.installs(), []);
  });

  it('refuses a revision that takes away what is bound', async () => {
    await put(install('1.0.0'), [bound]);

    await assert.rejects(gateway.apply([{ kind: 'install', id: 'i-1' }]), /acme\/stamp is installed/);

    assert.equal(await ask(), '1.0.0');
  });

  it('lets a plugin refuse with an answer of its own', async () => {
    source.hooks['1.0.0'] = {
      onRequest: () => {
        throw new GatewayError('FORBIDDEN', 'no');
      },
    };

    await put(install('1.0.0'), [bound]);

    assert.equal(await ask(), 403);
  });
});
