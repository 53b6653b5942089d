// Says what an endurance case is, and what comes out of it.
// Must not hold one: each has a file of its own.
import type { SallyportInstance } from '../contenders/sallyport-instance.ts';
import type { Cores } from '../processes.ts';
import type { EnduranceOptions } from './options.ts';

/** Is one bound, and whether what was measured keeps it. */
export interface Verdict {
  readonly what: string;
  /** As a reader would write them, with units. */
  readonly measured: string;
  readonly bound: string;
  readonly holds: boolean;
}

/** Is what a case works with. */
export interface Stage {
  /** One worker unless `env` says otherwise; no api yet. */
  readonly instance: SallyportInstance;
  readonly port: number;
  readonly options: EnduranceOptions;
  readonly cores: Cores;
  /** Scratch directory; the data directory of the instance is `data` in it. */
  readonly directory: string;
  /** Are the settings that the case has prepared. */
  readonly env: Readonly<Record<string, string>>;
  /** Closes something when the case is over, in reverse. */
  defer(close: () => Promise<unknown> | unknown): void;
  say(line: string): void;
}

/** Is one case. */
export interface EnduranceCase {
  readonly name: string;
  readonly description: string;
  /** Settings that it needs besides those of every run. */
  readonly env?: Readonly<Record<string, string>>;
  /** Lets the processes of the node choose their cores, as they would where nobody measures: for several workers. */
  readonly isUnpinned?: boolean;
  /** Says that processes of the node may end in it. */
  readonly mayLoseProcesses?: boolean;
  /** Makes ready what must be there before the start; gives more settings. */
  prepare?(stage: Pick<Stage, 'directory' | 'defer'>): Promise<Readonly<Record<string, string>>>;
  /** Handles that the gateway, and the harness beside it, need each. */
  readonly handles: number;
  run(stage: Stage): Promise<readonly Verdict[]>;
}

/** Judges a figure that must stay at or below a bound. `unit` follows both figures. */
export function judgeMost(what: string, value: number, bound: number, unit = ''): Verdict {
  const format = (figure: number): string => `${Number.isInteger(figure) ? figure : figure.toFixed(2)}${unit}`;
  return { what, measured: format(value), bound: `at most ${format(bound)}`, holds: value <= bound };
}

/** Writes a verdict in one line. */
export function formatVerdict({ what, measured, bound, holds }: Verdict): string {
  return `${holds ? 'PASS' : 'FAIL'}  ${what}: ${measured} (${bound})`;
}
