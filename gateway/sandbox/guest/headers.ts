// Header fields as a guest sees them: the lines it may read, and every change noted as an effect.
// Must not be trusted by the gateway, which checks every effect again.
import type { HeaderFields } from '../../core/plugin.ts';
import type { Effect, HeaderLines, Side } from '../messages.ts';
import type { NamePatterns } from './names.ts';

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Is thrown at a plugin that asks for what it was not granted. */
export class NotGranted extends Error {
  override readonly name = 'NotGranted';

  constructor(what: string) {
    super(`not granted: ${what}`);
  }
}

/** Reads lines, changes its copy, and notes what it changed. */
export class GuestHeaders implements HeaderFields {
  readonly #side: Side;
  readonly #mayRead: NamePatterns;
  readonly #note: (effect: Effect) => void;
  #lines: (readonly [string, string])[];

  constructor(side: Side, lines: HeaderLines, mayRead: NamePatterns, note: (effect: Effect) => void) {
    this.#side = side;
    this.#lines = [...lines];
    this.#mayRead = mayRead;
    this.#note = note;
  }

  get(name: string): string | undefined {
    const lower = this.#readable(name);
    return this.#lines.find(([other]) => other === lower)?.[1];
  }

  getAll(name: string): readonly string[] {
    const lower = this.#readable(name);
    return this.#lines.filter(([other]) => other === lower).map(([, value]) => value);
  }

  has(name: string): boolean {
    const lower = this.#readable(name);
    return this.#lines.some(([other]) => other === lower);
  }

  set(name: string, value: string): void {
    const [lower, text] = checkField(name, value);
    this.#note(['set', this.#side, name, text]);
    const at = this.#lines.findIndex(([other]) => other === lower);
    if (at === -1) this.#lines.push([lower, text]);
    else
      this.#lines = this.#lines.flatMap((line, index) =>
        index === at ? [[lower, text]] : line[0] === lower ? [] : [line],
      );
  }

  append(name: string, value: string): void {
    const [lower, text] = checkField(name, value);
    this.#note(['append', this.#side, name, text]);
    this.#lines.push([lower, text]);
  }

  delete(name: string): void {
    const lower = String(name).toLowerCase();
    this.#note(['delete', this.#side, lower]);
    this.#lines = this.#lines.filter(([other]) => other !== lower);
  }

  entries(): HeaderLines {
    return this.#lines.slice();
  }

  #readable(name: string): string {
    if (!this.#mayRead.has(name)) throw new NotGranted(`read ${this.#side} header ${name}`);
    return name.toLowerCase();
  }
}

function checkField(name: string, value: string): readonly [lower: string, value: string] {
  if (!NAME.test(name)) throw new TypeError('not a legal header name');
  const text = String(value);
  if (!VALUE.test(text)) throw new TypeError('not a legal header value');
  return [name.toLowerCase(), text];
}
