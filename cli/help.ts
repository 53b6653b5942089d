// The texts of --help, written from the commands and the settings themselves.
// Must not hold a fact that is not in one of those tables.
import type { Command } from './command.ts';
import { SETTINGS } from './settings.ts';

/** Writes the help of the whole command. */
export function writeHelp(commands: readonly Command[], version: string): string {
  const width = Math.max(...commands.map((command) => callOf(command).length)) + 2;
  return [
    `sallyport ${version}: an API gateway with a plugin marketplace`,
    '',
    'Usage: sallyport COMMAND [ARGUMENT] [OPTION]',
    '',
    'Commands:',
    ...commands.map((command) => `  ${callOf(command).padEnd(width)}${command.summary}`),
    '',
    'Options:',
    '  -h, --help     shows help; after a command, that of the command',
    '      --version  shows the version',
    '',
    'Examples:',
    '  sallyport start',
    '  SALLYPORT_PROXY_LISTEN=0.0.0.0:8000 sallyport start',
    '  sallyport apply sallyport.yaml --dry-run',
    '',
    'Settings come from the environment:',
    ...Object.values(SETTINGS).flatMap((spec) => [
      `  ${spec.name}${spec.defaultText === '' ? '' : ` (${spec.defaultText})`}`,
      `      ${spec.description}`,
    ]),
    '',
    'Exit codes: 0 done, 1 failed, 2 called wrongly or a setting is wrong; 3 imported, and something was told.',
  ].join('\n');
}

/** Writes the help of the commands that begin with one word. */
export function writeGroupHelp(name: string, commands: readonly Command[]): string {
  const width = Math.max(...commands.map((command) => callOf(command).length)) + 2;
  return [
    `Usage: sallyport ${name} COMMAND [ARGUMENT] [OPTION]`,
    '',
    'Commands:',
    ...commands.map((command) => `  ${callOf(command).padEnd(width)}${command.summary}`),
    '',
    `More about each: sallyport ${name} COMMAND --help`,
  ].join('\n');
}

/** Writes the help of one command. */
export function writeCommandHelp(command: Command): string {
  const options = Object.entries(command.options).map(
    ([name, option]) =>
      [`    --${name}${option.type === 'string' ? ` ${option.value}` : ''}`, option.description] as const,
  );
  const rows = [...options, ['-h, --help', 'shows this help'] as const];
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  return [
    `Usage: sallyport ${callOf(command)}${options.length > 0 ? ' [OPTION]' : ''}`,
    '',
    command.details,
    '',
    'Options:',
    ...rows.map(([name, description]) => `  ${name.padEnd(width)}${description}`),
    '',
    'Examples:',
    ...command.examples.map((example) => `  ${example}`),
  ].join('\n');
}

function callOf(command: Command): string {
  return [command.name, command.usage].filter((part) => part !== '').join(' ');
}
