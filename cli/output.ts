// What the command line prints: results to stdout, complaints to stderr.
// Must not decide an exit code.

/** Is where a command writes; tests give their own. */
export interface Output {
  /** Writes a line of result. */
  print(line: string): void;
  /** Writes a line of complaint. */
  complain(line: string): void;
}

/** Gives the process's own streams. */
export function openOutput(): Output {
  return {
    print: (line) => void process.stdout.write(`${line}\n`),
    complain: (line) => void process.stderr.write(`${line}\n`),
  };
}

/** Ends a command with one clear line; `exitCode` 1 = it failed, 2 = it was called wrongly. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: 1 | 2;

  constructor(message: string, exitCode: 1 | 2 = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}
