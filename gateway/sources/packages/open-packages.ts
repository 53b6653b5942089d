// The packages that are open in a worker: lent to whoever runs them, closed after the last, or a while later.
// Must not decide what may run: whoever asks for one has verified it for this very load.
import type { Install } from '../../core/model.ts';
import type { LoadedPlugin } from '../../core/pipeline.ts';
import type { Logger } from '../../core/ports.ts';
import type { PluginPackage } from '../../package/package.ts';
import type { Sandbox } from '../../sandbox/sandbox.ts';

/** Names a version by its bytes. */
export interface Pin extends Pick<Install, 'plugin' | 'version' | 'sha256'> {
  /** Says that it may stay open for whoever wants it next. */
  readonly canRest: boolean;
}

/** How long code stays open for a rollback: who upgraded in vain finds out within minutes. */
const WARM_MS = 600_000;
/** Most codes that nobody uses and that stay open: each may be a process of 50 MB. */
const MAX_WARM = 2;

interface OpenCode {
  readonly pin: Pin;
  readonly plugin: LoadedPlugin;
  readonly sandbox: Sandbox;
  users: number;
  /** Runs while nobody uses it. */
  closing?: NodeJS.Timeout;
}

/** Keeps open packages. */
export class OpenPackages {
  readonly #log: Logger;
  readonly #warmMs: number;
  readonly #open = new Map<string, OpenCode>();
  /** By plugin, the digest of the version that a rollback would lead to. */
  readonly #before = new Map<string, string>();

  constructor(log: Logger, warmMs: number = WARM_MS) {
    this.#log = log;
    this.#warmMs = warmMs;
  }

  /** Lends the code that is open under a key. */
  take(key: string): LoadedPlugin | undefined {
    const code = this.#open.get(key);
    if (code === undefined) return undefined;
    clearTimeout(code.closing);
    delete code.closing;
    code.users += 1;
    return code.plugin;
  }

  /** Keeps code under a key, and lends it. */
  keep(key: string, pin: Pin, { manifest, configSchema }: PluginPackage, sandbox: Sandbox): LoadedPlugin {
    const lease = {
      take: () => {
        code.users += 1;
      },
      release: () => {
        code.users -= 1;
        if (code.users === 0) this.#rest(key, code);
      },
    };
    const plugin = { manifest, configSchema, plugin: sandbox.plugin, tier: sandbox.tier, lease };
    const code: OpenCode = { pin, plugin, sandbox, users: 1 };
    this.#open.set(key, code);
    return plugin;
  }

  /** Gives the version that this code is. */
  findPin(plugin: LoadedPlugin): Pin | undefined {
    return [...this.#open.values()].find((one) => one.plugin === plugin)?.pin;
  }

  /** Hears where a rollback of a plugin would lead: that version stays open for a while when nobody uses it any more. */
  expect(plugin: string, before: string | undefined): void {
    if (before === undefined) this.#before.delete(plugin);
    else this.#before.set(plugin, before);
    for (const [key, code] of this.#listWarm()) {
      if (code.pin.plugin === plugin && code.pin.sha256 !== before) this.#close(key, code);
    }
  }

  #rest(key: string, code: OpenCode): void {
    const { plugin, sha256, canRest } = code.pin;
    if (!canRest || this.#before.get(plugin) !== sha256) {
      this.#close(key, code);
      return;
    }
    code.closing = setTimeout(() => this.#close(key, code), this.#warmMs).unref();
    const [oldest] = this.#listWarm();
    if (this.#listWarm().length > MAX_WARM && oldest) this.#close(...oldest);
  }

  #listWarm(): readonly (readonly [string, OpenCode])[] {
    return [...this.#open].filter(([, { users }]) => users === 0);
  }

  #close(key: string, code: OpenCode): void {
    clearTimeout(code.closing);
    this.#open.delete(key);
    code.sandbox.close().catch((error: unknown) => this.#log.warn('a sandbox was not closed', { ...code.pin, error }));
  }
}
