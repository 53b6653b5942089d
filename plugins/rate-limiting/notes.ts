// What the bindings of this plugin found for one request, kept from its arrival to its response.
// Must not decide anything.
import type { Exchange, LimitVerdict } from 'sallyport/plugin';

/** Is what one binding found. */
export interface Note {
  /** Whose it is: a route may have several bindings. */
  readonly owner: object;
  readonly verdict: LimitVerdict;
  /** The response speaks of it. */
  isTold: boolean;
  /** What the binding before found. */
  readonly before: Note | undefined;
}

// One entry for all bindings: most routes have one, and a note is all that it costs.
const NOTES = 'rate-limiting';

/** Notes what `owner` found. */
export function addNote(exchange: Exchange, owner: object, verdict: LimitVerdict): void {
  const note: Note = { owner, verdict, isTold: false, before: findLast(exchange) };
  exchange.state.set(NOTES, note);
}

/** Finds what `owner` noted; undefined when it never saw the request. */
export function findNote(exchange: Exchange, owner: object): Note | undefined {
  let note = findLast(exchange);
  while (note && note.owner !== owner) note = note.before;
  return note;
}

/** Gives the least that a binding of which the response speaks has left; undefined = it speaks of none. */
export function findLeastTold(exchange: Exchange): number | undefined {
  let least: number | undefined;
  for (let note = findLast(exchange); note; note = note.before) {
    if (note.isTold) least = Math.min(note.verdict.remaining, least ?? note.verdict.remaining);
  }
  return least;
}

function findLast({ state }: Exchange): Note | undefined {
  return state.get(NOTES) as Note | undefined;
}
