// Says what a table of the benchmark is made of.
// Must not hold one: each suite has a file of its own.
import type { Contender, RunningGateway } from '../contenders/contender.ts';
import type { BenchCertificate } from '../load/certificate.ts';
import type { LoadGenerator } from '../load/load.ts';
import type { Core } from '../processes.ts';
import type { BenchUpstream } from './upstream.ts';

/** Is one table: gateways side by side under the same load. */
export interface Trial {
  readonly name: string;
  readonly title: string;
  /** What the load counts, in the singular. */
  readonly unit: string;
  /** Cases that the others are divided by, when they run. */
  readonly baselines: readonly string[];
  readonly contenders: readonly Contender[];
  /** Gateways speak TLS to clients. */
  readonly isSecure: boolean;
  findLoad(): LoadGenerator;
  startUpstream(directory: string, core: Core): Promise<BenchUpstream>;
  /** Checks that the gateway hands on what it should. @throws Error when it does not. */
  checkAnswers(gateway: RunningGateway, certificate: BenchCertificate | undefined): Promise<void>;
}
