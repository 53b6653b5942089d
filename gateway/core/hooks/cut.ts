// What becomes of a binding whose hook did not return and was cut: it is set aside at once, here and where it is ordered.
// Must not end the exchange: that is the affair of its walk.
import type { Instance, Walk } from '../pipeline.ts';
import type { ChunkStep, Step } from './chain.ts';
import { reportPrevious } from './previous.ts';
import type { Incident } from './quarantine.ts';
import { takeSample } from './sample.ts';

/** How long it is aside unless somebody says more. A try may cost another worker, so it is longer than after failures. */
export const CUT_REST_MS = 10_000;

/** Tells whose hook was cut. */
export interface CutReport {
  readonly binding: string;
  readonly plugin: string;
  readonly version: string;
  readonly incident: Incident;
}

/** Orders a binding aside for `restMs`, because a hook of it was cut somewhere. */
export interface AsideOrder extends CutReport {
  readonly restMs: number;
}

/** Sets the binding of a step aside whose hook was cut, and tells of it. */
export function setCutAside(walk: Walk, { instance, hook }: Step | ChunkStep, reason: string): CutReport {
  const { exchange } = walk;
  const { quarantine, stats, plugin, binding } = instance;
  const { name, version } = plugin.manifest;
  quarantine.setAsideFor(CUT_REST_MS, performance.now());
  const incident: Incident = {
    atMs: exchange.tally.startedAt,
    hook,
    reason,
    failures: 1,
    calls: quarantine.tally(stats.calls).calls,
    sample: takeSample(exchange),
  };
  quarantine.incident = incident;
  const previous = reportPrevious(instance);
  walk.log.error('a plugin is set aside: its hook did not return and was cut', {
    plugin: name,
    version,
    binding: binding.id,
    exchange: exchange.id,
    incident,
    ...(previous && { previous }),
  });
  return { binding: binding.id, plugin: name, version, incident };
}

/** Sets a binding aside whose hook was cut elsewhere. Another version of its plugin than that one is left alone. */
export function obey(installed: Instance | undefined, { version, restMs, incident }: AsideOrder): void {
  const versions = [installed, installed?.previous?.instance];
  const instance = versions.find((one) => one?.plugin.manifest.version === version);
  if (instance === undefined) return;
  instance.quarantine.setAsideFor(restMs, performance.now());
  instance.quarantine.incident = incident;
}
