// What a command of `sallyport` is: its words, its options, its help and what it runs.
// Must not hold a command.
import type { ParseArgsConfig } from 'node:util';
import type { Parent } from './house/child.ts';
import type { Output } from './output.ts';
import type { Settings } from './settings.ts';

/** Describes one option of a command: a switch, or one that takes a text. */
export type OptionSpec =
  | { readonly type: 'boolean'; readonly description: string }
  | {
      readonly type: 'string';
      /** Names the text in help: `--key FILE`. */
      readonly value: string;
      readonly description: string;
    };

/** Is what a command gets: its arguments, already checked in number and name. */
export interface CommandInput {
  readonly arguments: readonly string[];
  /** Switches that were given. */
  readonly options: Readonly<Record<string, boolean>>;
  /** Texts of the options that take one; undefined = not given. */
  readonly values: Readonly<Record<string, string | undefined>>;
  /** Reads the environment. @throws SettingsError when a setting does not parse. */
  readSettings(): Settings;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Is the `sallyport start` that leads this process; undefined when it runs alone. */
  readonly parent: Parent | undefined;
  readonly output: Output;
}

/** Is a command as data, so that help, checks and docs come from one place. */
export interface Command {
  /** One word, or two: `plugin new` is a command of the group `plugin`. */
  readonly name: string;
  /** Arguments as help shows them: `FILE` is needed, `[up|down]` is not. */
  readonly usage: string;
  readonly summary: string;
  readonly details: string;
  readonly examples: readonly string[];
  readonly options: Readonly<Record<string, OptionSpec>>;
  readonly minArguments: number;
  readonly maxArguments: number;
  /** Runs to the end and gives the exit code. */
  run(input: CommandInput): Promise<number>;
}

/** Gives the options in the form that node:util parses. */
export function toParseOptions(command: Command): NonNullable<ParseArgsConfig['options']> {
  const entries = Object.entries(command.options).map(([name, { type }]) => [name, { type }] as const);
  return { ...Object.fromEntries(entries), help: { type: 'boolean', short: 'h' } };
}
