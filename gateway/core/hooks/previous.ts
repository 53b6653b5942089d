// Which version of a plugin an exchange runs on, where the version before takes over while the installed one is aside.
// Must not run hooks, and must not change its mind: what began with one version ends with it.
import type { Instance, Walk } from '../pipeline.ts';

/** Says what has the exchanges of a binding while its installed version is aside, or does not run at all. */
export interface PreviousReport {
  /** Null = there is none. */
  readonly version: string | null;
  /** Says that it has them now. */
  readonly isRunning: boolean;
  /** Why it cannot have them: then the binding fails closed. */
  readonly problem: string | null;
}

/** Decides once for an exchange on which of two versions it runs. */
export function chooseVersion({ exchange }: Walk, installed: Instance, previous: Instance): Instance {
  const note = `sallyport:previous:${installed.binding.id}`;
  const known = exchange.state.get(note);
  if (typeof known === 'boolean') return known ? previous : installed;
  const { quarantine } = installed;
  const isPrevious = quarantine.isAside && !quarantine.admits(exchange, performance.now());
  exchange.state.set(note, isPrevious);
  return isPrevious ? previous : installed;
}

/** Reports on a binding; undefined = its fail policy is another. */
export function reportPrevious({ plugin, previous, quarantine }: Instance): PreviousReport | undefined {
  if (plugin.configsBefore !== undefined) {
    const { incident, isAside } = quarantine;
    const problem = isAside ? `it fails as well: ${incident?.reason}` : null;
    return { version: plugin.manifest.version, isRunning: !isAside, problem };
  }
  if (previous === undefined) return undefined;
  const { version, instance } = previous;
  const problem = findProblem(plugin.previous?.isStopped === true, previous);
  return { version, isRunning: quarantine.isAside && instance !== undefined && problem === null, problem };
}

function findProblem(isStopped: boolean, { instance, problem }: NonNullable<Instance['previous']>): string | null {
  if (isStopped) return 'it was revoked';
  if (instance?.quarantine.isAside) return `it fails as well: ${instance.quarantine.incident?.reason}`;
  return problem ?? null;
}
