// The compose file and the image, checked without a container engine: shape, settings, ports, order of starting.
// Must not need docker.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { readSettings, SETTINGS } from '../cli/settings.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SECRETS = { SALLYPORT_SECRET_KEY: '0'.repeat(64), SALLYPORT_ADMIN_TOKEN: 'a-token-for-this-test' };
const NODE_CODE_RUNS = /^fetch\('http:\/\/127\.0\.0\.1:(\d+)(\/[a-z]+)'\)/;

interface Service {
  readonly image?: string;
  readonly build?: string;
  readonly command?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test: readonly string[] };
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** Replaces `${NAME:-default}` and `${NAME:?message}` as compose does. @throws Error with the message of what is missing. */
function interpolate(text: string, environment: Readonly<Record<string, string>>): string {
  return text.replace(/\$\{([A-Z_]+)(?::([-?])([^}]*))?\}/g, (_, name: string, kind?: string, rest = '') => {
    const value = environment[name];
    if (value) return value;
    if (kind === '?') throw new Error(`${name}: ${rest}`);
    return kind === '-' ? rest : '';
  });
}

function readCompose(environment: Readonly<Record<string, string>> = SECRETS): Compose {
  const parsed: unknown = parse(read('docker-compose.yml'), { merge: true });
  // In values alone, and after YAML decided their types, as compose does.
  return JSON.parse(JSON.stringify(parsed), (_, value) =>
    typeof value === 'string' ? interpolate(value, environment) : value,
  );
}

function serviceOf(compose: Compose, name: string): Service {
  const service = compose.services[name];
  assert.ok(service, `there is no service ${name}`);
  return service;
}

/** Gives the port at which a container listens, by a setting that holds host:port. */
function portOf(service: Service, setting: string): string | undefined {
  return service.environment?.[setting]?.split(':').at(-1);
}

describe('docker-compose.yml', () => {
  it('fits the schema of compose files', () => {
    const isCompose = new Ajv2020({
      allErrors: true,
      strict: true,
      strictTuples: false,
      strictRequired: false,
    }).compile(JSON.parse(read('test/support/compose-schema.json')));

    assert.ok(isCompose(readCompose()), JSON.stringify(isCompose.errors, null, 2));
  });

  it('runs Postgres, the admin service, two gateways, Redis and the example', () => {
    assert.deepEqual(Object.keys(readCompose().services).sort(), [
      'admin',
      'gateway-1',
      'gateway-2',
      'orders',
      'postgres',
      'redis',
    ]);
  });

  for (const name of Object.keys(SECRETS)) {
    it(`does not start without ${name}, and says how to make one`, () => {
      const { [name]: _, ...others } = SECRETS as Record<string, string>;

      assert.throws(() => readCompose(others), new RegExp(`${name}: .*openssl rand`));
    });
  }

  it('gives Sallyport only settings that exist, with values that it takes', () => {
    const known = new Set(Object.values(SETTINGS).map(({ name }) => name));
    const { services } = readCompose();
    for (const name of ['admin', 'gateway-1', 'gateway-2']) {
      const { environment = {} } = services[name] ?? {};

      assert.deepEqual(
        Object.keys(environment).filter((key) => !known.has(key)),
        [],
      );
      assert.doesNotThrow(() => readSettings(environment), name);
    }
  });

  it('lets admin and gateways share the database and the key, and nothing on disk', () => {
    const compose = readCompose();
    const all = ['admin', 'gateway-1', 'gateway-2'].map((name) => serviceOf(compose, name));

    for (const key of ['DATABASE_URL', 'SALLYPORT_SECRET_KEY']) {
      assert.equal(new Set(all.map(({ environment }) => environment?.[key])).size, 1, key);
    }
    assert.equal(new Set(all.flatMap(({ volumes }) => volumes ?? [])).size, all.length);
    assert.notEqual(
      serviceOf(compose, 'gateway-1').environment?.['SALLYPORT_NODE_NAME'],
      serviceOf(compose, 'gateway-2').environment?.['SALLYPORT_NODE_NAME'],
    );
  });

  it('reaches the database and Redis by the names of their services', () => {
    const { environment = {} } = serviceOf(readCompose(), 'gateway-1');

    assert.equal(new URL(environment['DATABASE_URL'] ?? '').hostname, 'postgres');
    assert.equal(new URL(environment['SALLYPORT_REDIS_URL'] ?? '').hostname, 'redis');
  });

  it('publishes the ports of the design on loopback, each once', () => {
    const { services } = readCompose();

    const published = Object.values(services).flatMap(({ ports }) => ports ?? []);
    assert.deepEqual(published.toSorted(), [
      '127.0.0.1:8000:8000',
      '127.0.0.1:8001:8001',
      '127.0.0.1:8002:8002',
      '127.0.0.1:8010:8000',
      '127.0.0.1:8012:8002',
    ]);
  });

  it('listens inside where the ports lead and the health checks ask', () => {
    const compose = readCompose();
    const expected: readonly (readonly [string, string, string])[] = [
      ['admin', portOf(serviceOf(compose, 'admin'), 'SALLYPORT_ADMIN_LISTEN') ?? '', '/livez'],
      ['gateway-1', portOf(serviceOf(compose, 'gateway-1'), 'SALLYPORT_STATUS_LISTEN') ?? '', '/readyz'],
      ['gateway-2', portOf(serviceOf(compose, 'gateway-2'), 'SALLYPORT_STATUS_LISTEN') ?? '', '/readyz'],
      ['orders', serviceOf(compose, 'orders').environment?.['ORDERS_PORT'] ?? '', '/orders'],
    ];
    for (const [name, port, path] of expected) {
      const [, asked, askedPath] = NODE_CODE_RUNS.exec(serviceOf(compose, name).healthcheck?.test.at(-1) ?? '') ?? [];

      assert.deepEqual([asked, askedPath], [port, path], name);
    }
  });

  it('waits only for services that are there, and for health only where it is checked', () => {
    const { services } = readCompose();
    for (const [name, { depends_on: needs = {} }] of Object.entries(services)) {
      for (const [needed, { condition }] of Object.entries(needs)) {
        assert.ok(services[needed], `${name} needs ${needed}`);
        if (condition === 'service_healthy') assert.ok(services[needed].healthcheck, `${needed} has no health check`);
      }
    }
  });

  it('declares every volume it uses, and uses every one it declares', () => {
    const { services, volumes } = readCompose();

    const used = Object.values(services).flatMap((service) => (service.volumes ?? []).map((one) => one.split(':')[0]));
    assert.deepEqual([...new Set(used)].sort(), Object.keys(volumes).sort());
  });

  it('runs commands that there are', () => {
    const { services } = readCompose();

    assert.deepEqual(services['admin']?.command, ['admin']);
    assert.deepEqual(services['gateway-1']?.command, ['gateway']);
    assert.ok(existsSync(join(ROOT, services['orders']?.entrypoint?.[1] ?? '')));
  });
});

describe('Dockerfile', () => {
  const lines = read('Dockerfile').split('\n');
  const valuesOf = (word: string): string[] =>
    lines.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1));

  it('runs as a user without rights, on the recommended Node', () => {
    assert.deepEqual(
      valuesOf('FROM').map((value) => value.split(' ')[0]),
      ['node:24-slim', 'node:24-slim'],
    );
    assert.deepEqual(valuesOf('USER'), ['node']);
  });

  it('listens on every address at the ports of the design', () => {
    assert.deepEqual(valuesOf('EXPOSE'), ['8000 8001 8002']);
    for (const spec of [SETTINGS.proxyListen, SETTINGS.adminListen, SETTINGS.statusListen]) {
      const port = spec.defaultText.split(':').at(-1);

      assert.ok(read('Dockerfile').includes(`${spec.name}=0.0.0.0:${port}`), spec.name);
    }
  });

  it('has a health check and starts the command', () => {
    assert.equal(valuesOf('HEALTHCHECK').length, 1);
    assert.deepEqual(valuesOf('ENTRYPOINT'), ['["node", "/app/dist/cli/main.js"]']);
    const { bin } = JSON.parse(read('package.json')) as { readonly bin: { readonly sallyport: string } };
    assert.equal(join('/app', bin.sallyport), '/app/dist/cli/main.js');
  });

  it('takes nothing in that is secret, installed or built here', () => {
    const ignored = read('.dockerignore').split('\n');

    for (const name of ['.git', '.sallyport', 'node_modules', 'dist', '.env']) assert.ok(ignored.includes(name), name);
  });
});
