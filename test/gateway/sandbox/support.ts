// Packages for the tests of the sandbox: hooks as text, with a manifest around them, in any tier.
// Must not hold what a single test is about.
import { readFileSync } from 'node:fs';
import type { HookName, Manifest, Permissions } from '../../../gateway/core/manifest.ts';
import type { Logger, Plugin } from '../../../gateway/core/plugin.ts';
import type { IsolateGate } from '../../../gateway/sandbox/isolate/gate.ts';
import { findIsolates } from '../../../gateway/sandbox/isolate/library.ts';
import { type Incident, openSandbox, type Sandbox, type Tier } from '../../../gateway/sandbox/sandbox.ts';
import { fakeHost, type TestHost } from '../../../gateway/testing/host.ts';
import { type RunningPlugin, startPlugin } from '../../../gateway/testing/run.ts';

/** Says that isolates load here: not on Node 20, nor without isolated-vm. `.ci/run` tests them where they do. */
export const HAS_ISOLATES: boolean = findIsolates().library !== undefined;
const ISOLATE: readonly Tier[] = HAS_ISOLATES ? ['isolate'] : [];

/** Names the tiers there are. */
export const TIERS: readonly Tier[] = ['native', ...ISOLATE, 'process'];
/** Names those in which a plugin may be anybody's. */
export const GUEST_TIERS: readonly Tier[] = [...ISOLATE, 'process'];

/** Writes nothing. */
export const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** Is a package to be opened. */
export interface PackageOptions {
  /** Members of the object that `definePlugin` gets. */
  readonly hooks: string;
  /** What stands before it. */
  readonly before?: string;
  readonly names?: readonly HookName[];
  readonly permissions?: Permissions;
  readonly limits?: Partial<Manifest['limits']>;
  readonly stage?: Manifest['stage'];
  readonly failPolicy?: Manifest['failPolicy'];
  readonly secrets?: Readonly<Record<string, string>>;
  readonly config?: unknown;
  readonly host?: TestHost;
  readonly isolates?: IsolateGate;
}

/** Is a package at work. */
export interface OpenPackage {
  readonly sandbox: Sandbox;
  readonly manifest: Manifest;
  readonly incidents: readonly Incident[];
  /** Gives the first incident of a kind, past or to come. */
  incident(kind: Incident['kind']): Promise<Incident>;
  /** Sets it up behind the gateway's own walk, with the configuration of the package or another. */
  start(config?: unknown): Promise<RunningPlugin>;
}

/** Writes the one module of a package. */
export function buildCode({ hooks, before = '' }: Pick<PackageOptions, 'hooks' | 'before'>): string {
  return `import { definePlugin, GatewayError } from 'sallyport/plugin';\n${before}\nexport const plugin = definePlugin({ ${hooks} });`;
}

/** Writes a manifest. */
export function buildManifest(options: Omit<PackageOptions, 'hooks'>): Manifest {
  return {
    name: 'acme/test',
    version: '1.0.0',
    title: 'Test',
    summary: 'Under test.',
    stage: options.stage ?? 'transform',
    hooks: options.names ?? ['onRequest'],
    scopes: ['global'],
    failPolicy: options.failPolicy ?? 'closed',
    limits: { timeoutMs: 2_000, memoryMb: 32, ...options.limits },
    permissions: options.permissions ?? {},
    engines: { gateway: '^1.2.0' },
  };
}

const opened: { close(): Promise<void> }[] = [];

/** Opens a package in a tier; `closeAll` closes it. */
export async function openPackage(tier: Tier, options: PackageOptions): Promise<OpenPackage> {
  const manifest = buildManifest(options);
  const incidents: Incident[] = [];
  const waiting: { readonly kind: Incident['kind']; resolve(incident: Incident): void }[] = [];
  const sandbox = await openSandbox({
    code: buildCode(options),
    manifest,
    granted: manifest.permissions,
    secrets: options.secrets ?? {},
    tier,
    log: SILENT,
    ...(options.isolates && { isolates: options.isolates }),
    onIncident(incident) {
      incidents.push(incident);
      for (const one of waiting) if (one.kind === incident.kind) one.resolve(incident);
    },
  });
  opened.push(sandbox);
  return {
    sandbox,
    manifest,
    incidents,
    incident: (kind) =>
      new Promise((resolve) => {
        const known = incidents.find((one) => one.kind === kind);
        if (known) resolve(known);
        else waiting.push({ kind, resolve });
      }),
    async start(config = options.config ?? {}) {
      const { binding, ...rest } = options.host ?? fakeHost({ binding: { plugin: manifest.name } });
      const running = await startPlugin(sandbox.plugin as Plugin<unknown, unknown>, {
        config,
        host: { ...rest, binding: { ...binding, plugin: manifest.name } },
        manifest,
      });
      opened.push(running);
      return running;
    },
  };
}

/** Closes what the test has opened. */
export async function closeAll(): Promise<void> {
  for (const one of opened.splice(0).reverse()) await one.close();
}

/** Is a child process, with the most memory it has had. */
export interface Child {
  readonly pid: number;
  readonly peakMb: number;
}

/** Lists the children of this process that still run. `others`: those of other tests, to be left out. */
export function listChildren(others: readonly Child[] = []): readonly Child[] {
  const left = new Set(others.map(({ pid }) => pid));
  const text = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').trim();
  const pids = text.split(' ').filter((pid) => pid !== '' && !left.has(Number(pid)));
  return pids.map((pid) => ({ pid: Number(pid), peakMb: readPeakMb(pid) }));
}

function readPeakMb(pid: string): number {
  try {
    const text = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/VmHWM:\s+(\d+)/.exec(text)?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}
