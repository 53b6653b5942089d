// The first code in an isolate: takes from the realm what lets text become code, and joins the guest to its gateway.
// Must not hand the plugin the function that speaks to the gateway, nor anything else that is not of its own realm.
import { closeRealm, openGuest, type PluginModule } from '../guest/main.ts';

/** Gives the gateway what was said while it was not waiting for an answer. A function of the gateway's, as a function of this realm. */
type Tell = (text: string, ...blobs: readonly Uint8Array[]) => void;

/** Takes messages; gives the first that is said meanwhile, which costs less than telling it. */
export interface Ends {
  receive(text: string, bytes: ArrayBuffer | undefined): string | undefined;
  /** Gives again what `receive` gave: that is lost when a rejection is left unhandled. */
  repeat(): string | undefined;
}

const Bytes = Uint8Array;

/** Closes the realm. Runs before a plugin loads. */
export function close(): void {
  closeRealm();
  closeCompiler();
}

/** Puts a plugin to work. */
export function open(plugin: PluginModule, tell: Tell): Ends {
  let isAsked = false;
  let answer: string | undefined;
  const guest = openGuest(plugin, (text, blobs) => {
    if (isAsked && blobs.length === 0) {
      isAsked = false;
      answer = text;
      return;
    }
    // What is said first comes first.
    isAsked = false;
    tell(text, ...blobs);
  });
  return {
    receive(text, bytes) {
      isAsked = true;
      answer = undefined;
      guest.receive(text, bytes && new Bytes(bytes));
      isAsked = false;
      return answer;
    },
    repeat: () => answer,
  };
}

/** Lets no text become code, as in every other tier. It would be code of this realm: an isolate holds it either way. */
function closeCompiler(): void {
  const refuse = (): never => {
    throw new EvalError('Code generation from strings disallowed for this context');
  };
  const kinds = [() => {}, async () => {}, function* () {}, async function* () {}];
  for (const kind of kinds) {
    const { prototype } = Object.getPrototypeOf(kind).constructor;
    // Packages ask for `x instanceof Function`.
    const stub = (): never => refuse();
    Object.defineProperty(stub, 'prototype', { value: prototype });
    Object.defineProperty(prototype, 'constructor', { value: stub, writable: false, configurable: false });
    if (prototype === Function.prototype) Object.defineProperty(globalThis, 'Function', { value: stub });
  }
  Object.defineProperty(globalThis, 'eval', { value: refuse });
}
