// What the keeper remembers of bindings whose hooks were cut in a worker: for how long all workers are to set them aside.
// Must not reach workers: it says what to tell them.
import { isDeepStrictEqual } from 'node:util';
import type { DocumentState } from '../../../../core/config.ts';
import { type AsideOrder, CUT_REST_MS, type CutReport } from '../../../../core/hooks/cut.ts';
import type { Binding, Install } from '../../../../core/model.ts';

/** Each try that is cut costs a worker its place. */
const MAX_REST_MS = 1_800_000;
/** A binding that has behaved for so long begins anew. */
const FORGET_MS = 3_600_000;

interface Known {
  readonly report: CutReport;
  /** What was in force when it was cut; another one is another set-up, and begins anew. */
  readonly binding: Binding | undefined;
  readonly install: Install | undefined;
  restMs: number;
  untilMs: number;
  cutMs: number;
}

/** Remembers which bindings were cut. Times are monotonic milliseconds. */
export class CutMemory {
  readonly #known = new Map<string, Known>();
  readonly #counts = new Map<string, number>();
  #document: DocumentState | undefined;

  /** Gives how many hooks were cut, by plugin, since the start. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** Notes a cut; gives for how long everybody is to set the binding aside. */
  note(report: CutReport, nowMs: number): AsideOrder {
    const { plugin } = report;
    const id = keyOf(report);
    this.#counts.set(plugin, (this.#counts.get(plugin) ?? 0) + 1);
    const known = this.#find(id, nowMs);
    // What began before it was set aside everywhere is no try, and does not prolong the rest.
    const isTry = known !== undefined && nowMs >= known.untilMs;
    const restMs = isTry ? Math.min(MAX_REST_MS, 2 * known.restMs) : (known?.restMs ?? CUT_REST_MS);
    const untilMs = known === undefined || isTry ? nowMs + restMs : known.untilMs;
    const { bindings, installs } = this.#document ?? {};
    const inForce = { binding: bindings?.get(report.binding), install: findInstall(installs, plugin) };
    this.#known.set(id, { report, ...inForce, restMs, untilMs, cutMs: nowMs });
    return { ...report, restMs: untilMs - nowMs };
  }

  /** Gives what a worker that begins is to set aside; one whose rest is over is to be tried with care. */
  list(nowMs: number): readonly AsideOrder[] {
    const ids = [...this.#known.keys()].filter((id) => this.#find(id, nowMs) !== undefined);
    return ids.flatMap((id) => {
      const known = this.#known.get(id);
      return known ? [{ ...known.report, restMs: Math.max(0, known.untilMs - nowMs) }] : [];
    });
  }

  /** Hears of a document that is in force now: forgets bindings that it changes, or whose plugin it changes. */
  keep(document: DocumentState): void {
    this.#document = document;
    for (const [id, { report, binding, install }] of this.#known) {
      const isSame =
        isDeepStrictEqual(document.bindings.get(report.binding), binding) &&
        isDeepStrictEqual(findInstall(document.installs, report.plugin), install);
      if (!isSame) this.#known.delete(id);
    }
  }

  #find(id: string, nowMs: number): Known | undefined {
    const known = this.#known.get(id);
    if (known !== undefined && nowMs - Math.max(known.untilMs, known.cutMs) > FORGET_MS) this.#known.delete(id);
    return this.#known.get(id);
  }
}

function keyOf({ binding, version }: CutReport): string {
  return `${binding} ${version}`;
}

function findInstall(installs: DocumentState['installs'] | undefined, plugin: string): Install | undefined {
  for (const install of installs?.values() ?? []) if (install.plugin === plugin) return install;
  return undefined;
}
