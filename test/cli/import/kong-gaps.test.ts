// Nothing may be published with less protection than it had: routes that share requests, and apis that go off.
// Must not look into the import: only at what it writes and tells.
import assert from 'node:assert/strict';
import { type Imported, importFile } from '../../support/import.ts';

interface Service {
  readonly name: string;
  readonly [key: string]: unknown;
}

function importServices(services: readonly Service[], rest: Record<string, unknown> = {}): Promise<Imported> {
  const withUrls = services.map((service) => ({ url: 'http://shared:80', ...service }));
  return importFile('kong', { _format_version: '3.0', services: withUrls, ...rest });
}

function listOff({ config }: Imported): readonly unknown[] {
  return config?.apis?.filter(({ enabled }) => enabled === false).map(({ name }) => name) ?? [];
}

const guard = { plugins: [{ name: 'key-auth' }] };

describe('sallyport import kong, and gaps', function () {
  this.timeout(20_000);

  it('turns off what the requests of an api that is off would come to, at the same upstream', async () => {
    const imported = await importServices([
      { name: 'open', routes: [{ paths: ['/'] }] },
      { name: 'guarded', routes: [{ paths: ['/admin/'] }], plugins: [{ name: 'ldap-auth' }] },
      { name: 'elsewhere', url: 'http://other', routes: [{ paths: ['/a'] }] },
    ]);

    assert.deepEqual(listOff(imported), ['open', 'guarded']);
    assert.match(imported.told.join('\n'), /services\[0\] \(open\): reaches the same upstream as guarded/);
  });

  it('leaves on what never gets those requests', async () => {
    const imported = await importServices([
      { name: 'open', routes: [{ paths: ['/public/'] }] },
      { name: 'guarded', routes: [{ paths: ['/admin/'] }], plugins: [{ name: 'ldap-auth' }] },
    ]);

    assert.deepEqual(listOff(imported), ['guarded']);
  });

  it('turns off what shares the upstream with a route that is left out', async () => {
    const imported = await importServices([
      { name: 'open', routes: [{ paths: ['/'] }] },
      { name: 'guarded', routes: [{ paths: ['~/(?i)admin'], strip_path: false }], ...guard },
    ]);

    assert.deepEqual(listOff(imported), ['open', 'guarded']);
  });

  it('turns off what a route without a service kept from its upstream', async () => {
    const imported = await importServices([{ name: 'open', routes: [{ paths: ['/'] }] }], {
      routes: [{ name: 'closed', paths: ['/admin'], plugins: [{ name: 'request-termination' }] }],
    });

    assert.deepEqual(listOff(imported), ['open']);
  });

  it('says a prefix twice whose longer names would come to a route that guards less', async () => {
    const imported = await importServices([
      { name: 'open', routes: [{ paths: ['/'] }] },
      { name: 'guarded', routes: [{ paths: ['/admin'], strip_path: false }], ...guard },
    ]);

    assert.equal(imported.code, 0);
    assert.deepEqual(imported.config?.apis?.[1]?.routes[0]?.paths, ['/admin', '~/admin[^/].*']);
    assert.equal(imported.checked, '');
  });

  for (const [what, path] of [
    ['a longer prefix', '/administrators'],
    ['an expression', '~/adm[a-z]+$'],
  ] as const) {
    it(`turns both off when ${what} would lose requests to the second way`, async () => {
      const imported = await importServices([
        { name: 'open', routes: [{ paths: ['/'] }] },
        { name: 'guarded', routes: [{ paths: ['/admin'], strip_path: false }], ...guard },
        { name: 'third', url: 'http://other', routes: [{ paths: [path], strip_path: false }] },
      ]);

      assert.deepEqual(listOff(imported).slice(0, 2), ['open', 'guarded']);
      assert.deepEqual(imported.config?.apis?.[1]?.routes[0]?.paths, ['/admin']);
    });
  }

  it('leaves out a service whose address has a user in it, and turns off what would get its requests', async () => {
    const imported = await importServices([
      { name: 'open', routes: [{ paths: ['/'] }] },
      { name: 'users', url: 'http://me:secret@shared', routes: [{ paths: ['/admin/'] }], ...guard },
    ]);

    assert.deepEqual(
      imported.config?.apis?.map(({ name, enabled }) => [name, enabled]),
      [['open', false]],
    );
    assert.ok(!imported.told.join('').includes('secret'));
  });

  it('turns nothing off for streams, nor for what was off in Kong', async () => {
    const imported = await importServices([
      { name: 'open', routes: [{ paths: ['/'] }] },
      {
        name: 'stream',
        url: undefined,
        protocol: 'tcp',
        host: 'shared',
        routes: [{ protocols: ['tcp'], snis: ['a'] }],
      },
      { name: 'idle', enabled: false, routes: [{ paths: ['/admin/'] }], plugins: [{ name: 'ldap-auth' }] },
    ]);

    assert.deepEqual(listOff(imported), ['idle']);
    assert.match(imported.told.join('\n'), /services\[1\] \(stream\): left out with its routes/);
  });

  it('turns both off when such a prefix is taken off too', async () => {
    const imported = await importServices([
      { name: 'open', routes: [{ paths: ['/'] }] },
      { name: 'guarded', routes: [{ paths: ['/admin'] }], ...guard },
    ]);

    assert.deepEqual(listOff(imported), ['open', 'guarded']);
    assert.match(imported.told.join('\n'), /\/admin of Kong takes \/adminx too/);
  });

  it('turns both off where Kong tries the route first that comes second here', async () => {
    const imported = await importServices([
      { name: 'wide', routes: [{ paths: ['/a/'], methods: ['GET'] }], ...guard },
      { name: 'long', url: 'http://other', routes: [{ paths: ['/a/b/'] }] },
    ]);

    assert.deepEqual(listOff(imported), ['wide', 'long']);
    assert.match(imported.told.join('\n'), /in Kong the other one comes first/);
  });

  it('turns both off where Kong leaves the order open', async () => {
    const imported = await importServices([
      { name: 'one', routes: [{ paths: ['/a/'] }], ...guard },
      { name: 'two', url: 'http://other', routes: [{ paths: ['/a/'] }] },
    ]);

    assert.deepEqual(listOff(imported), ['one', 'two']);
  });

  for (const [what, first, second] of [
    ['hosts', { hosts: ['a.example'] }, { hosts: ['b.example'] }],
    ['methods', { methods: ['GET'] }, { methods: ['POST'] }],
    ['values of a header', { headers: { 'x-v': ['1'] } }, { headers: { 'x-v': ['2'] } }],
    ['paths', { paths: ['/b/'] }, {}],
  ] as const) {
    it(`compares no routes whose ${what} keep them apart`, async () => {
      const imported = await importServices([
        { name: 'one', routes: [{ paths: ['/a/'], ...first }], ...guard },
        { name: 'two', routes: [{ paths: ['/a/'], ...second }] },
      ]);

      assert.deepEqual(imported.told, []);
    });
  }

  it('turns off what a request with a header in another case would come to', async () => {
    const imported = await importServices([
      { name: 'open', routes: [{ paths: ['/a/'] }] },
      { name: 'guarded', routes: [{ paths: ['/a/'], headers: { 'x-v': ['beta'] } }], ...guard },
    ]);

    assert.deepEqual(listOff(imported), ['open', 'guarded']);
  });

  it('turns every api off for a global plugin or a section that nobody knows', async () => {
    const services = [
      { name: 'one', routes: [{ paths: ['/a/'] }] },
      { name: 'two', routes: [{ paths: ['/b/'] }] },
    ];

    const plugin = await importServices(services, { plugins: [{ name: 'bot-detection' }] });
    const section = await importServices(services, { filter_chains: [{ name: 'f' }] });

    assert.deepEqual(listOff(plugin), ['one', 'two']);
    assert.deepEqual(listOff(section), ['one', 'two']);
  });

  it('tells ten thousand lines at most, and turns off all the same', async () => {
    const services = Array.from({ length: 250 }, (_, index) => ({
      name: `s${index}`,
      url: `http://s${index}`,
      routes: [{ paths: ['/a/'] }],
    }));

    const imported = await importServices(services);

    assert.equal(imported.told.length, 10_001);
    assert.equal(listOff(imported).length, 250);
  });

  it('compares ten thousand routes in seconds', async () => {
    const services = Array.from({ length: 10_000 }, (_, index) => ({
      name: `s${index}`,
      url: `http://s${index}`,
      routes: [{ paths: ['/'], hosts: [`h${index}.example`] }],
    }));
    const started = performance.now();

    const imported = await importServices(services);

    assert.equal(imported.code, 0);
    assert.ok(performance.now() - started < 15_000, `${performance.now() - started} ms`);
  });
});
