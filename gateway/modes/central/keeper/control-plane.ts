// What a keeper needs of the control plane: documents in, reports out.
// Must not be implemented here.
import type { Update } from '../../../core/model.ts';
import type { InstallReport } from '../../../core/setup/runs.ts';
import type { NodeReport } from '../report.ts';
import type { RevisionRefusal } from './publisher.ts';

/** Hears what the control plane has to say. */
export interface ControlPlaneHandlers {
  onUpdate(update: Update): void;
  /** Says whether the control plane answers; called at each change. */
  onContact(isInContact: boolean): void;
}

/** Is what a node reports: which revision it serves, which it was offered, and why it refused. */
export interface NodeStatus {
  readonly revision: number;
  readonly offeredRevision: number;
  readonly refusal: RevisionRefusal | undefined;
  readonly workers: readonly { readonly pid: number; readonly revision: number }[];
  readonly health: NodeReport;
  /** What runs of each install. */
  readonly plugins: readonly InstallReport[];
}

/** Is the connection to the control plane; it mends itself. */
export interface ControlPlane {
  /** Reports now; an unreachable control plane gets the newest report when it is back. */
  report(status: NodeStatus): void;
  /** Says good-bye, so that nobody waits for this node any more. */
  close(): Promise<void>;
}
