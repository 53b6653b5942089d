// Says what the harness needs of a gateway under test.
// Must not know a single one of them.
import type { BenchCertificate } from '../load/certificate.ts';
import type { Cores } from '../processes.ts';

/** Is one request of the load; GET, or with a body POST. */
export interface LoadRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** latin1. */
  readonly body?: string;
  /** Bytes of the body of the right answer; absent = any will do. */
  readonly answerLength?: number;
}

/** Is what a gateway is started with. */
export interface ContenderContext {
  /** Names the table that it is measured for. */
  readonly trial: string;
  /** Empty directory of its own; removed after the run. */
  readonly directory: string;
  readonly cores: Cores;
  readonly upstreamPort: number;
  /** Speak TLS with this one; undefined = in clear. */
  readonly certificate: BenchCertificate | undefined;
  readonly shouldProfile: boolean;
}

/** Is a gateway that serves. */
export interface RunningGateway {
  readonly port: number;
  /** Its process tree is what is measured. */
  readonly pid: number;
  /** The load sends these round-robin. */
  readonly requests: readonly LoadRequest[];
  /** Checks, after the load, that the work which the case names was really done. @throws Error when it was not. */
  checkWork(requestsServed: number): Promise<void>;
  /** Stops it. Gives the CPU profiles it left. */
  close(): Promise<readonly string[]>;
}

/** Is a gateway that can be measured. */
export interface Contender {
  readonly name: string;
  readonly description: string;
  /** Says why it cannot run here; undefined = it can. */
  findObstacle(): string | undefined;
  start(context: ContenderContext): Promise<RunningGateway>;
}

/** Is the load of a gateway that does nothing but forward. */
export const PLAIN_REQUESTS: readonly LoadRequest[] = [{ path: '/orders/1001', headers: {} }];
