// Loads isolated-vm, which is optional: whoever runs no package in an isolate need not have it.
// Must not load it before it is asked for, nor hand any of it to a guest.
import { createRequire } from 'node:module';
import { setFlagsFromString } from 'node:v8';

/** Is what we use of isolated-vm. */
export interface IsolateLibrary {
  readonly Isolate: new (options: { readonly memoryLimit: number }) => Isolate;
  readonly Callback: new (callback: (...args: readonly unknown[]) => void) => unknown;
  readonly ExternalCopy: new (
    value: ArrayBufferLike,
  ) => { copyInto(options?: { readonly release?: boolean; readonly transferIn?: boolean }): unknown };
}

/** Is a heap of its own, with a context in it. */
export interface Isolate {
  readonly isDisposed: boolean;
  createContext(): Promise<IsolateContext>;
  compileModule(code: string, options: { readonly filename: string }): Promise<IsolateModule>;
  dispose(): void;
}

/** Is a global scope of an isolate. */
export interface IsolateContext {
  readonly global: { set(name: string, value: unknown): Promise<void> };
  eval(code: string): Promise<unknown>;
}

/** Is a module of an isolate. */
export interface IsolateModule {
  readonly namespace: IsolateReference;
  instantiate(
    context: IsolateContext,
    resolve: (specifier: string, from: IsolateModule) => IsolateModule,
  ): Promise<void>;
  evaluate(options?: { readonly timeout: number }): Promise<unknown>;
}

/** Is a handle on a value in an isolate. */
export interface IsolateReference {
  get(name: string, options: { readonly reference: true }): Promise<IsolateReference>;
  derefInto(): unknown;
  apply(receiver: undefined, args: readonly unknown[], options?: CallOptions): Promise<unknown>;
  applySync(receiver: undefined, args: readonly unknown[]): unknown;
}

/** Says how a function of an isolate is called, and for how many milliseconds at most. */
export interface CallOptions {
  readonly timeout?: number;
  readonly result?: { readonly reference: true };
}

/** Is the library, or why there is none. */
export type Found = { readonly library: IsolateLibrary } | { readonly library: undefined; readonly reason: string };

let found: Found | undefined;

/** Loads the library once. Never throws: a node without it runs its packages in processes. */
export function findIsolates(): Found {
  found ??= load();
  return found;
}

function load(): Found {
  try {
    // By `require`, which looks in NODE_PATH too: the library may be installed beside the gateway, not in it.
    const library = createRequire(import.meta.url)('isolated-vm') as IsolateLibrary;
    // V8 13.6 (Node 24) takes the check for interrupts out of some endless loops as it unrolls those within, such as
    // `for (;;) new Array(1000).fill(1)`: nothing could end them any more, and no limit of memory holds.
    setFlagsFromString('--no-turboshaft-loop-unrolling');
    return { library };
  } catch (error) {
    // Without what the loader tells of stacks and paths.
    const [reason = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
    return { library: undefined, reason };
  }
}
