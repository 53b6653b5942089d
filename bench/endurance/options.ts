// Reads the command line of `npm run endure`.
// Must not start anything.
import { parseArgs } from 'node:util';

/** Is what one run does. */
export interface EnduranceOptions {
  readonly caseName: string;
  /** Length of a soak. */
  readonly minutes: number;
  /** Size of each body of slow-readers, in MiB. */
  readonly bodyMib: number;
  /** Idle or slow connections; undefined = what the case is about. */
  readonly connections: number | undefined;
  readonly isHelp: boolean;
}

/** Explains the options. */
export const USAGE = `Usage: npm run endure -- --case NAME [options]

Puts a real Sallyport under what wears gateways out, and judges it by its bounds. Exit code 1 = one is not kept.

  --case NAME        slow-readers      20 slow readers and 20 slow takers of large bodies: memory stays flat
                     idle-connections  10 000 connections that have done one request: memory in all
                     slow-loris        1 000 connections that send a byte a second: good traffic does not suffer, all end
                     soak              mixed traffic at 70 % of what the worker can do: nothing grows
                     plugin-changes    a plugin is installed, tried, changed and removed under load: nothing is lost
                     hostile-plugins   a plugin loops, floods and grows: other apis do not suffer
                     all               one after the other
  --minutes N        length of the soak (20)
  --body-mib N       size of each body of slow-readers (200)
  --connections N    connections of idle-connections (10000) and slow-loris (1000)
  --help             print this

Example: npm run endure -- --case soak --minutes 5
`;

function readCount(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) throw new Error(`--${name} must be a whole number from 1, got "${text}"`);
  return count;
}

/** Reads the options. @throws Error when one is unknown or does not parse. */
export function readOptions(args: readonly string[]): EnduranceOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      case: { type: 'string', default: '' },
      minutes: { type: 'string' },
      'body-mib': { type: 'string' },
      connections: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.case === '' && !values.help) throw new Error('--case is missing; see --help');
  return {
    caseName: values.case,
    minutes: readCount('minutes', values.minutes) ?? 20,
    bodyMib: readCount('body-mib', values['body-mib']) ?? 200,
    connections: readCount('connections', values.connections),
    isHelp: values.help,
  };
}
