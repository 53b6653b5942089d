// The first code in a plugin's child process: builds a realm with nothing but ECMAScript and carries messages to it.
// Must not hand an object of its own realm to the plugin: its prototype would lead back here.
// What is global elsewhere is imported: the globals are taken away.
import { Socket } from 'node:net';
import process from 'node:process';
import { URL } from 'node:url';
import vm from 'node:vm';
import type { Guest, Post } from '../guest/main.ts';
import type { Frame } from '../messages.ts';
import { FrameReader, writeFrame } from './framing.ts';

/** Is the first message: all code that the realm may load. */
export interface Load {
  /** Text of each module by its path. */
  readonly modules: Readonly<Record<string, string>>;
  /** Path of the guest's first module. */
  readonly entry: string;
  /** Path of the contract, which a plugin imports as `sallyport/plugin`. */
  readonly contract: string;
  /** The plugin's own module. */
  readonly code: string;
}

type EntryModule = typeof import('../guest/main.ts');

const CHANNEL = 3;
/** The gateway bounds what it sends; this is for faults. */
const BOUNDS = { maxTextBytes: 64 * 1024 * 1024, maxBlobBytes: 64 * 1024 * 1024 };

const { apply } = Reflect;
const { set } = Uint8Array.prototype;
const { nextTick } = process;
const end = process.exit.bind(process);

const socket = new Socket({ fd: CHANNEL, readable: true, writable: true });
let isCorked = false;

// What is said in one turn goes out in one write.
const send = (frame: Frame): void => {
  if (!isCorked) {
    isCorked = true;
    socket.cork();
    nextTick(() => {
      isCorked = false;
      socket.uncork();
    });
  }
  socket.write(writeFrame(frame));
};

const post: Post = (text, blobs) => {
  try {
    send({ text, blobs });
  } catch {
    // Whatever went wrong is an error of this realm, which the plugin must not get hold of.
    end(70);
  }
};

async function load({ modules, entry, contract, code }: Load): Promise<(frame: Frame) => void> {
  const context = vm.createContext(vm.constants.DONT_CONTEXTIFY, { codeGeneration: { strings: false, wasm: false } });
  const made = new Map<string, vm.SourceTextModule>();
  const find = (path: string): vm.SourceTextModule => {
    const known = made.get(path);
    if (known) return known;
    const text = modules[path];
    if (text === undefined) throw new Error(`no module ${path}`);
    const module = new vm.SourceTextModule(text, { context, identifier: path });
    made.set(path, module);
    return module;
  };
  const link = async (specifier: string, from: vm.Module): Promise<vm.Module> =>
    find(new URL(specifier, `file:///${from.identifier}`).pathname.slice(1));

  const first = find(entry);
  await first.link(link);
  await first.evaluate();
  const { allocate, closeRealm, openGuest } = first.namespace as EntryModule;
  closeRealm();
  closeHere();
  const plugin = new vm.SourceTextModule(code, { context, identifier: 'index.js' });
  await plugin.link(async (specifier) => {
    if (specifier !== 'sallyport/plugin') throw new Error(`a package imports sallyport/plugin alone, not ${specifier}`);
    return find(contract);
  });
  await plugin.evaluate();
  const guest = openGuest(plugin.namespace, post);
  listen(guest);
  return ({ text, blobs: [blob] }) => {
    let bytes: Uint8Array | undefined;
    if (blob) {
      bytes = allocate(blob.length);
      apply(set, bytes, [blob]);
    }
    guest.receive(text, bytes);
  };
}

function listen(guest: Guest): void {
  processEvents('unhandledRejection', (reason) => guest.trouble(reason));
}

const processEvents: (event: 'unhandledRejection', listener: (reason: unknown) => void) => void =
  process.on.bind(process);

/** Takes from this realm what could reach beyond it, for the day that somebody finds a way in. */
function closeHere(): void {
  const doors = [
    'binding',
    '_linkedBinding',
    'dlopen',
    'kill',
    '_kill',
    '_debugProcess',
    'getBuiltinModule',
    'mainModule',
  ];
  for (const name of doors) Object.defineProperty(process, name, { value: undefined });
  const kept = new Set(Object.getOwnPropertyNames(vm.runInNewContext('globalThis')));
  for (const name of Object.getOwnPropertyNames(globalThis)) {
    if (!kept.has(name)) Reflect.deleteProperty(globalThis, name);
  }
}

let receive: ((frame: Frame) => void) | undefined;

const reader = new FrameReader(BOUNDS, (frame) => {
  if (receive) {
    receive(frame);
    return;
  }
  load(JSON.parse(frame.text)).then(
    (ready) => {
      receive = ready;
      send({ text: '["loaded"]', blobs: [] });
    },
    (error: unknown) => send({ text: JSON.stringify(['broken', describe(error)]), blobs: [] }),
  );
});

// It may be an object of the plugin, with traps of its own.
function describe(error: unknown): string {
  try {
    return String((error as Error).message).slice(0, 1_000);
  } catch {
    return 'the module threw';
  }
}

socket.on('data', (bytes) => reader.feed(bytes));
// The gateway is gone.
socket.on('error', () => end(0));
socket.on('close', () => end(0));
send({ text: '["ready"]', blobs: [] });
