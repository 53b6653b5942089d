// What a plugin may try that it must not. Each is one function; what stops it is the gateway's affair.
import type { Exchange, Host } from 'sallyport/plugin';

/** Is what a misbehaviour has in hand. */
export interface Scene {
  readonly host: Host;
  /** Undefined at set-up. */
  readonly exchange: Exchange | undefined;
}

type Misbehaviour = (scene: Scene) => unknown;

/** What is never there for a guest, but may be in a process that forgot to take it away. */
interface NodeGlobals {
  readonly process?: {
    readonly env?: Readonly<Record<string, string | undefined>>;
    readonly getBuiltinModule?: (name: string) => Readonly<Record<string, unknown>> | undefined;
    readonly exit?: (code: number) => never;
    readonly kill?: (pid: number, signal: string) => void;
    readonly ppid?: number;
  };
}

const globals = globalThis as NodeGlobals;

/** Says what was reached, so that a test sees a leak in the response instead of guessing. */
function leak({ exchange }: Scene, what: string): void {
  exchange?.response?.headers.set('x-hostile', `leaked ${what}`);
  exchange?.state.set('examples/hostile.leak', what);
}

/** Gets a module of Node by every way that a bundle leaves open. */
async function reach(name: string): Promise<Readonly<Record<string, unknown>>> {
  const builtin = globals.process?.getBuiltinModule?.(name);
  if (builtin) return builtin;
  // Where the word itself is looked for, it is not found.
  const load = new Function('name', ['return im', 'port(name)'].join('')) as (
    name: string,
  ) => Promise<Record<string, unknown>>;
  return load(`node:${name}`);
}

const MISBEHAVIOURS: Readonly<Record<string, Misbehaviour>> = {
  none: () => undefined,

  loop() {
    for (;;);
  },
  'regex-bomb': () => /^(a+)+$/.test(`${'a'.repeat(40)}b`),
  async 'promise-loop'() {
    for (;;) await undefined;
  },

  'array-bomb'() {
    const kept: number[][] = [];
    for (;;) kept.push(new Array<number>(100_000).fill(kept.length));
  },
  'string-bomb'() {
    const kept: string[] = [];
    for (let text = 'x'.repeat(1_000_000); ; text += 'y') kept.push([...text].join(''));
  },
  'buffer-bomb'() {
    const kept: Uint8Array[] = [];
    for (;;) kept.push(new Uint8Array(16_777_216).fill(1));
  },

  throw() {
    throw new Error('hostile');
  },
  'throw-odd'() {
    throw {
      get message(): string {
        throw new Error('hostile to the core');
      },
    };
  },
  'reject-later'() {
    void Promise.resolve().then(() => Promise.reject(new Error('nobody waits for this')));
  },
  'never-settle': () => new Promise(() => undefined),

  'spoil-prototypes'(scene) {
    const prototype = Object.prototype as { polluted?: string };
    prototype.polluted = 'yes';
    Object.assign(Array.prototype, { map: () => ['spoilt'] });
    Object.assign(Map.prototype, { get: () => 'spoilt' });
    JSON.parse = () => ({ __proto__: { isAdmin: true } });
    scene.exchange?.state.set('__proto__', { isAdmin: true });
  },
  'escape-by-constructor'(scene) {
    const subjects: unknown[] = [scene.host, scene.host.clock.wallMs, scene.exchange, scene.exchange?.request.headers];
    for (const subject of subjects) {
      const make = (subject as { constructor?: { constructor?: (code: string) => () => unknown } })?.constructor;
      const found = make?.constructor?.('return typeof process === "object" ? process : undefined')();
      if (found) leak(scene, 'process');
    }
  },
  'read-environment'(scene) {
    if (Object.keys(globals.process?.env ?? {}).length > 0) leak(scene, 'environment');
  },
  async 'read-file'(scene) {
    const { readFileSync } = (await reach('fs')) as { readFileSync: (path: string) => { readonly length: number } };
    if (readFileSync('/etc/passwd').length > 0) leak(scene, 'file');
  },
  async 'open-socket'(scene) {
    const { connect } = (await reach('net')) as { connect: (port: number, host: string) => unknown };
    if (connect(9, '127.0.0.1')) leak(scene, 'socket');
  },
  async 'start-process'(scene) {
    const { execSync } = (await reach('child_process')) as { execSync: (command: string) => unknown };
    if (execSync('id')) leak(scene, 'process');
  },
  'end-process'() {
    globals.process?.exit?.(7);
  },

  'write-undeclared-header': ({ exchange }) => exchange?.request.headers.set('authorization', 'Bearer stolen'),
  'read-undeclared-header'(scene) {
    if (scene.exchange?.request.headers.get('authorization')) leak(scene, 'authorization');
  },
  'rewrite-path'({ exchange }) {
    if (exchange) exchange.request.path = '/admin';
  },
  'replace-body': ({ exchange }) => exchange?.request.setBody(new Uint8Array([1, 2, 3])),
  answer: ({ exchange }) => exchange?.respond(200, { 'x-hostile': 'answered' }, 'gotcha'),
  identify({ exchange }) {
    const stamps = { tags: [], createdAt: '2026-01-01T00:00:00.000Z', updatedAt: '2026-01-01T00:00:00.000Z' };
    const consumer = { ...stamps, id: '00000000-0000-4000-8000-00000000dead', username: 'root', groups: ['admins'] };
    const credential = { ...stamps, id: consumer.id, consumerId: consumer.id, type: 'key-auth', lookup: 'x', data: {} };
    exchange?.identify({ consumer, credential });
  },
  async 'fetch-undeclared-host'(scene) {
    await scene.host.fetch('http://127.0.0.1:8001/v1/tokens');
    leak(scene, 'network');
  },
  'flood-log'({ host }) {
    for (let line = 0; line < 100_000; line++) host.log.error('x'.repeat(10_000));
  },
  'flood-headers'({ exchange }) {
    const headers = exchange?.response?.headers ?? exchange?.request.headers;
    for (let line = 0; line < 100_000; line++) headers?.append('x-hostile', 'x'.repeat(1_000));
  },
  'break-header': ({ exchange }) => exchange?.response?.headers.set('x-hostile', 'a\r\nset-cookie: stolen=1'),
};

/** Finds what to do; what nobody knows does nothing. */
export function findMisbehaviour(name: string): Misbehaviour {
  return (Object.hasOwn(MISBEHAVIOURS, name) ? MISBEHAVIOURS[name] : undefined) ?? (() => undefined);
}
