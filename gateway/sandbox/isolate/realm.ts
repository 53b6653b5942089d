// Makes an isolate with a guest in it, and goes into it: messages in, what was said meanwhile out.
// Must not let a guest see more than the function that tells, nor believe what that is given.
import type { Frame } from '../messages.ts';
import { MAX_BLOB_BYTES, MAX_TEXT_BYTES } from '../messages.ts';
import { readGuestSources } from '../sources.ts';
import type {
  CallOptions,
  Isolate,
  IsolateContext,
  IsolateLibrary,
  IsolateModule,
  IsolateReference,
} from './library.ts';
import { Watchdog } from './watchdog.ts';

/** Longest that a plugin's module may take to run, in a thread beside. */
const EVALUATE_TIMEOUT_MS = 5_000;
/** Most frames and characters that one call may leave behind. */
const MAX_FRAMES = 4_096;
const MAX_QUEUED = 32 * 1024 * 1024;

/** Says that a guest had to be ended, or ended. */
export class IsolateLost extends Error {
  override readonly name = 'IsolateLost';
  readonly kind: 'crash' | 'timeout' | 'memory';

  constructor(kind: IsolateLost['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}

/** Is what a realm is made of. */
export interface RealmOptions {
  readonly library: IsolateLibrary;
  readonly code: string;
  readonly memoryMb: number;
  /** Longest that the worker stays inside. */
  readonly limitMs: number;
  /** Hears of a rejection that nobody in the guest handled. */
  onTrouble(message: string): void;
}

/** Is a guest in an isolate. */
export class Realm {
  readonly #options: RealmOptions;
  readonly #isolate: Isolate;
  readonly #watchdog: Watchdog;
  readonly #bridge: { receive?: IsolateReference; repeat?: IsolateReference } = {};
  #said: Frame[] = [];
  #size = 0;
  #fault: IsolateLost | undefined;
  /** Calls from a thread beside; nobody else may go in meanwhile: he would wait for that thread. */
  #callsBeside = 0;

  private constructor(options: RealmOptions) {
    const { library, memoryMb, limitMs } = options;
    this.#options = options;
    this.#isolate = new library.Isolate({ memoryLimit: Math.max(memoryMb, MIN_MEMORY_MB) });
    this.#watchdog = new Watchdog(library, limitMs);
  }

  /** Loads guest and plugin. @throws Error when the plugin does not load */
  static async open(options: RealmOptions): Promise<Realm> {
    const realm = new Realm(options);
    try {
      await realm.#load();
      return realm;
    } catch (error) {
      const lost = realm.#findLoss(error);
      realm.close();
      throw lost ?? error;
    }
  }

  /** Says that whoever goes in now would have to wait for a thread beside. */
  get isBusy(): boolean {
    return this.#callsBeside > 0;
  }

  /** Goes in with a message, and comes back with what was said. @throws IsolateLost */
  call({ text, blobs: [blob] }: Frame): readonly Frame[] {
    this.#watchdog.begin();
    try {
      this.#hear(this.#receive.applySync(undefined, this.#listArguments(text, blob)));
    } catch (error) {
      this.#mustLive(error);
      this.#hear(this.#bridge.repeat?.applySync(undefined, []));
    } finally {
      this.#watchdog.end();
    }
    return this.#takeSaid();
  }

  /** Does the same in a thread beside, for what may take long. @throws IsolateLost */
  async callBeside({ text, blobs: [blob] }: Frame, timeoutMs: number): Promise<readonly Frame[]> {
    this.#callsBeside++;
    try {
      const args = this.#listArguments(text, blob);
      this.#hear(await this.#receive.apply(undefined, args, { timeout: timeoutMs }));
    } catch (error) {
      this.#mustLive(error);
      this.#hear(await this.#bridge.repeat?.apply(undefined, []));
    } finally {
      this.#callsBeside--;
    }
    return this.#takeSaid();
  }

  close(): void {
    this.#watchdog.stop();
    if (!this.#isolate.isDisposed) this.#isolate.dispose();
  }

  get #receive(): IsolateReference {
    const { receive } = this.#bridge;
    if (!receive) throw new Error('the isolate is not ready');
    return receive;
  }

  async #load(): Promise<void> {
    const { library, code } = this.#options;
    const context = await this.#isolate.createContext();
    const link = buildLinker(this.#isolate, context);
    const bridge = await link.load(BRIDGE);
    const call = async (name: string, args: readonly unknown[], options?: CallOptions): Promise<unknown> => {
      const member = await bridge.namespace.get(name, { reference: true });
      return member.apply(undefined, args, options);
    };
    await call('close', []);
    const plugin = await link.loadPlugin(code);
    const tell = new library.Callback((...said) => this.#take(said));
    const ends = await call('open', [plugin.namespace.derefInto(), tell], { result: { reference: true } });
    for (const name of ['receive', 'repeat'] as const) {
      this.#bridge[name] = await (ends as IsolateReference).get(name, { reference: true });
    }
    await this.#watchdog.start(library, this.#isolate);
  }

  #listArguments(text: string, blob: Uint8Array | undefined): readonly unknown[] {
    if (!blob) return [text];
    // A copy of its own: the memory behind a Buffer holds what others have there.
    const bytes = new this.#options.library.ExternalCopy(new Uint8Array(blob).buffer);
    return [text, bytes.copyInto({ release: true, transferIn: true })];
  }

  /** Takes what the guest tells, which may be anything that can be copied. */
  #take([text, ...blobs]: readonly unknown[]): void {
    if (this.#fault) return;
    const bytes = blobs.filter((blob) => blob instanceof Uint8Array);
    if (bytes.length !== blobs.length) this.#fault = new IsolateLost('crash', 'the plugin sent nonsense');
    else if (bytes.reduce((sum, { length }) => sum + length, 0) > MAX_BLOB_BYTES)
      this.#fault = new IsolateLost('crash', 'a message has too many bytes');
    else this.#hear(text, bytes);
  }

  #hear(text: unknown, blobs: readonly Uint8Array[] = []): void {
    if (text === undefined) return;
    if (typeof text !== 'string' || text.length > MAX_TEXT_BYTES) {
      this.#fault = new IsolateLost('crash', 'a message is too long');
      return;
    }
    this.#size += blobs.reduce((sum, { length }) => sum + length, text.length);
    if (this.#said.push({ text, blobs }) > MAX_FRAMES || this.#size > MAX_QUEUED) {
      this.#fault = new IsolateLost('crash', 'the plugin talks without being asked');
    }
  }

  #takeSaid(): readonly Frame[] {
    if (this.#fault) throw this.#fault;
    const said = this.#said;
    this.#said = [];
    this.#size = 0;
    return said;
  }

  /** Goes on after a rejection that nobody handled; ends what cannot go on. */
  #mustLive(error: unknown): void {
    const lost = this.#findLoss(error);
    if (lost) throw lost;
    this.#options.onTrouble(readMessage(error));
  }

  #findLoss(error: unknown): IsolateLost | undefined {
    const message = readMessage(error);
    const tooLong = 'the plugin held its isolate longer than its time limit';
    if (this.#watchdog.hasCut || message === 'Script execution timed out.') return new IsolateLost('timeout', tooLong);
    if (!this.#isolate.isDisposed) return undefined;
    return /memory limit/.test(message)
      ? new IsolateLost('memory', 'the isolate of the plugin took more memory than its limit')
      : new IsolateLost('crash', `the isolate of the plugin ended: ${message}`);
  }
}

/** The least that the library takes. */
const MIN_MEMORY_MB = 8;
const BRIDGE = 'sandbox/isolate/bridge.js';

interface Linker {
  /** Loads a module of the guest with all that it imports. */
  load(path: string): Promise<IsolateModule>;
  loadPlugin(code: string): Promise<IsolateModule>;
}

function buildLinker(isolate: Isolate, context: IsolateContext): Linker {
  const { modules, contract } = readGuestSources(BRIDGE);
  const byPath = new Map<string, IsolateModule>();
  const paths = new Map<IsolateModule, string>();
  const compileAll = async (): Promise<void> => {
    for (const [path, text] of Object.entries(modules)) {
      const module = await isolate.compileModule(text, { filename: path });
      byPath.set(path, module);
      paths.set(module, path);
    }
  };
  const find = (path: string): IsolateModule => {
    const module = byPath.get(path);
    if (!module) throw new Error(`no module ${path}`);
    return module;
  };
  const resolve = (specifier: string, from: IsolateModule): IsolateModule =>
    find(new URL(specifier, `file:///${paths.get(from)}`).pathname.slice(1));
  return {
    async load(path) {
      await compileAll();
      const module = find(path);
      await module.instantiate(context, resolve);
      await module.evaluate();
      return module;
    },
    async loadPlugin(code) {
      const plugin = await isolate.compileModule(code, { filename: 'index.js' });
      await plugin.instantiate(context, (specifier, from) => {
        if (from !== plugin) return resolve(specifier, from);
        if (specifier === 'sallyport/plugin') return find(contract);
        throw new Error(`a package imports sallyport/plugin alone, not ${specifier}`);
      });
      await plugin.evaluate({ timeout: EVALUATE_TIMEOUT_MS });
      return plugin;
    },
  };
}

function readMessage(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error).slice(0, 500);
  } catch {
    return 'a value that cannot be shown';
  }
}
