#!/usr/bin/env node
// The `sallyport` command: finds the command, checks how it is called, runs it, turns its end into an exit code.
// Must not do the work of a command, and loads only the one that runs.
import { realpathSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { type Command, toParseOptions } from './command.ts';
import { COMMANDS } from './commands.ts';
import { writeCommandHelp, writeGroupHelp, writeHelp } from './help.ts';
import { findParent } from './house/child.ts';
import { CommandError, type Output, openOutput } from './output.ts';
import { findUnknownSettings, readSettings, SettingsError } from './settings.ts';
import { readVersion } from './version.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Runs the command that `words` name and gives the exit code: 0 done, 1 failed, 2 called wrongly, 3 imported with remarks. */
export async function runMain(words: readonly string[], environment: Environment, output: Output): Promise<number> {
  try {
    const [name, second] = words;
    if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
      output.print(writeHelp(COMMANDS, readVersion()));
      return name === undefined ? 2 : 0;
    }
    if (name === '--version' || name === '-v') {
      output.print(readVersion());
      return 0;
    }
    const group = COMMANDS.filter((command) => command.name.startsWith(`${name} `));
    if (group.length > 0 && (second === undefined || ['--help', '-h', 'help'].includes(second))) {
      output.print(writeGroupHelp(name, group));
      return second === undefined ? 2 : 0;
    }
    const command = findCommand(words, group);
    return await runCommand(command, words.slice(command.name.split(' ').length), environment, output);
  } catch (error) {
    return complainAbout(error, output);
  }
}

async function runCommand(
  command: Command,
  words: readonly string[],
  environment: Environment,
  output: Output,
): Promise<number> {
  const { options, values, positionals } = parseWords(command, words);
  if (options['help'] === true) {
    output.print(writeCommandHelp(command));
    return 0;
  }
  if (positionals.length < command.minArguments || positionals.length > command.maxArguments) {
    throw new CommandError(`sallyport ${command.name}: expected ${command.usage || 'no argument'}; see --help`, 2);
  }
  const parent = findParent(environment);
  // Whoever leads has said it already.
  if (parent === undefined) {
    for (const name of findUnknownSettings(environment)) {
      output.complain(`${name}: there is no such setting in this version, so it has no effect; see --help`);
    }
  }
  return command.run({
    arguments: positionals,
    options,
    values,
    readSettings: () => readSettings(environment),
    environment,
    parent,
    output,
  });
}

/** Finds a command by its first word, or in a group by the first two. */
function findCommand(words: readonly string[], group: readonly Command[]): Command {
  const name = words.slice(0, group.length > 0 ? 2 : 1).join(' ');
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command === undefined) {
    const names = (group.length > 0 ? group : COMMANDS).map((candidate) => candidate.name).join(', ');
    throw new CommandError(`sallyport: there is no command ${JSON.stringify(name)}; there are ${names}`, 2);
  }
  return command;
}

interface ParsedWords {
  readonly options: Readonly<Record<string, boolean>>;
  readonly values: Readonly<Record<string, string>>;
  readonly positionals: readonly string[];
}

function parseWords(command: Command, words: readonly string[]): ParsedWords {
  try {
    const { values, positionals } = parseArgs({
      args: [...words],
      options: toParseOptions(command),
      allowPositionals: true,
    });
    const entries = Object.entries(values);
    return {
      options: Object.fromEntries(entries.filter((entry): entry is [string, boolean] => entry[1] === true)),
      values: Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string')),
      positionals,
    };
  } catch (error) {
    throw new CommandError(`sallyport ${command.name}: ${describeWrongWord(error)}; see --help`, 2);
  }
}

/** Node's own text of an unknown option ends in advice for other programs, with a quote that is never closed. */
function describeWrongWord(error: unknown): string {
  const [line = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
  const unknown = /^Unknown option '(\S+)'/.exec(line)?.[1];
  return unknown === undefined ? line.replace(/\.$/, '') : `there is no option ${unknown}`;
}

function complainAbout(error: unknown, output: Output): number {
  if (error instanceof SettingsError) {
    output.complain(error.message);
    return 2;
  }
  if (error instanceof CommandError) {
    output.complain(error.message);
    return error.exitCode;
  }
  // Anything else is a bug or the system's refusal: the stack helps whoever reports it.
  output.complain(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return 1;
}

const isMain = process.argv[1] !== undefined && import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href;
if (isMain) process.exitCode = await runMain(process.argv.slice(2), process.env, openOutput());
