// Hooks that were cut in one worker, as the whole node hears of them: no worker is to be cut by the same one again soon.
// Must not judge hooks: workers cut, and set aside what they cut.
import type { DocumentState } from '../../../../core/config.ts';
import type { AsideOrder, CutReport } from '../../../../core/hooks/cut.ts';
import type { Clock, Logger } from '../../../../core/ports.ts';
import type { Fleet } from '../fleet.ts';
import type { Member } from '../member.ts';
import { CutMemory } from './cut-memory.ts';

/** How much longer all workers but one rest: when the one tries again and is cut, the others have not tried. */
const LONGER_REST = 1.5;

/** Is what is needed. */
export interface CutsOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly fleet: Fleet;
}

/** Tells all workers what one of them had to cut. */
export class Cuts {
  readonly #options: CutsOptions;
  readonly #memory = new CutMemory();

  constructor(options: CutsOptions) {
    this.#options = options;
  }

  /** Gives how many hooks were cut, by plugin, since the start. */
  get counts(): ReadonlyMap<string, number> {
    return this.#memory.counts;
  }

  /** Hears of a cut. Other requests may wait for what was unwound with it, so another worker takes the place of this one. */
  take(member: Member, report: CutReport): void {
    const { clock, log, fleet } = this.#options;
    const order = this.#memory.note(report, clock.monotonicMs());
    fleet.relieve(member);
    const others = [...fleet.members].filter((one) => one !== member);
    for (const [at, one] of [...others, member].entries()) tell(one, order, at === 0 ? 1 : LONGER_REST);
    const { plugin, version, binding, restMs } = order;
    const facts = { plugin, version, binding, restMs: Math.round(restMs), workerPid: member.pid };
    log.warn('a binding whose hook was cut is set aside in every worker; the worker is relieved', facts);
  }

  /** Tells a worker that begins what the others had to cut. */
  welcome(member: Member): void {
    for (const order of this.#memory.list(this.#options.clock.monotonicMs())) tell(member, order, LONGER_REST);
  }

  /** Hears of a document that is in force now. */
  keep(document: DocumentState): void {
    this.#memory.keep(document);
  }
}

function tell(member: Member, order: AsideOrder, times: number): void {
  member.send({ channel: 'aside', order: { ...order, restMs: order.restMs * times } });
}
