// Reads the command line of `npm run bench`.
// Must not start anything.
import { parseArgs } from 'node:util';

/** Is what one run does. */
export interface BenchOptions {
  /** Which tables are measured. */
  readonly suite: string;
  /** Cases to run; empty = all. */
  readonly only: readonly string[];
  readonly rounds: number;
  /** Length of one measured window. */
  readonly seconds: number;
  readonly connections: number;
  readonly shouldProfile: boolean;
  readonly jsonFile: string | undefined;
  readonly isHelp: boolean;
}

/** Explains the options. */
export const USAGE = `Usage: npm run bench -- [options]

Measures CPU time per request, throughput, latency and memory of gateways, side by side.

  --suite NAME     what to measure: proxy (HTTP/1.1 in clear), tls (kept-alive requests, handshakes), h2, grpc, websocket,
                   or all of these (proxy); sandbox: hooks of packages, by tier
  --only A,B       run only these cases; of proxy: nginx, http-proxy, fastify, plain, full, full-10k; of the others: nginx,
                   plain, and http-proxy of websocket
  --quick          few short rounds: a first impression, not a result
  --rounds N       rounds over all cases (5)
  --seconds N      length of a measured window (4)
  --connections N  connections (64); of HTTP/2 an eighth of it, with 8 requests in flight on each
  --profile        write a CPU profile of each Sallyport worker and print its costliest functions
  --json FILE      write every figure as JSON
  --help           print this

Example: npm run bench -- --quick --only nginx,plain
`;

function readCount(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) throw new Error(`--${name} must be a whole number from 1, got "${text}"`);
  return count;
}

/** Reads the options. @throws Error when one is unknown or does not parse. */
export function readOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      suite: { type: 'string', default: 'proxy' },
      only: { type: 'string' },
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      connections: { type: 'string' },
      profile: { type: 'boolean', default: false },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  return {
    suite: values.suite,
    only: values.only?.split(',').filter((name) => name !== '') ?? [],
    rounds: readCount('rounds', values.rounds, values.quick ? 2 : 5),
    seconds: readCount('seconds', values.seconds, values.quick ? 2 : 4),
    connections: readCount('connections', values.connections, 64),
    shouldProfile: values.profile,
    jsonFile: values.json,
    isHelp: values.help,
  };
}
