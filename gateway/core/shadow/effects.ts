// What one version of a plugin did to an exchange, as data, and how that of two versions differs.
// Must not run a hook or decide what may be shown.

/** Says how the hooks ended: the exchange went on, they answered it, refused it by a code, failed, or took too long. */
export type Outcome = 'went on' | 'answered' | 'refused' | 'failed' | 'timed out';

/** Is header lines as pairs of a lower-case name and a value, in order. */
export type EffectLines = readonly (readonly [name: string, value: string])[];

/** Is a body by its size and its digest: bodies are compared, never shown. */
export interface BodyMark {
  readonly bytes: number;
  readonly digest: string;
}

/** Is what an exchange looks like after the hooks of a version. What there is not is undefined. */
export interface Effects {
  readonly outcome: Outcome;
  /** Of the refusal, or of the failure. */
  readonly code: string | undefined;
  readonly status: number | undefined;
  readonly id: string | undefined;
  readonly consumer: string | undefined;
  readonly path: string | undefined;
  readonly query: string | undefined;
  readonly requestHeaders: EffectLines;
  readonly responseHeaders: EffectLines;
  readonly requestBody: BodyMark | undefined;
  readonly responseBody: BodyMark | undefined;
}

/** Names what two versions do differently. */
export type DifferencePlace =
  | 'outcome'
  | 'code'
  | 'status'
  | 'id'
  | 'consumer'
  | 'path'
  | 'query'
  | 'request header'
  | 'response header'
  | 'request body'
  | 'response body';

/** Is one thing that two versions do differently. */
export interface Difference {
  readonly place: DifferencePlace;
  /** Of the header, lower case. */
  readonly name?: string;
  readonly kind: 'added' | 'removed' | 'changed';
  /** What the installed version leaves; absent when it leaves nothing. */
  readonly installed?: string;
  readonly candidate?: string;
}

const FIELDS = ['outcome', 'code', 'status'] as const;
const MORE_FIELDS = ['id', 'consumer', 'path', 'query'] as const;

/**
 * Lists what the candidate does otherwise than the installed version, in a fixed order, each place and header once. Of two that
 * end differently only that is told: the rest follows from it.
 */
export function diffEffects(installed: Effects, candidate: Effects): readonly Difference[] {
  const ends = FIELDS.flatMap((place) => diffText({ place }, installed[place], candidate[place]));
  if (installed.outcome !== candidate.outcome) return ends;
  return [
    ...ends,
    ...MORE_FIELDS.flatMap((place) => diffText({ place }, installed[place], candidate[place])),
    ...diffLines('request header', installed.requestHeaders, candidate.requestHeaders),
    ...diffBody('request body', installed.requestBody, candidate.requestBody),
    ...diffLines('response header', installed.responseHeaders, candidate.responseHeaders),
    ...diffBody('response body', installed.responseBody, candidate.responseBody),
  ];
}

/** Names a difference without its values, to count its like: `response header x-hello changed`. */
export function nameDifference({ place, name, kind }: Difference): string {
  return [place, ...(name === undefined ? [] : [name]), kind].join(' ');
}

type Where = Pick<Difference, 'place' | 'name'>;

/** Tells of what is known to differ. */
function tell(where: Where, installed: string | undefined, candidate: string | undefined): Difference {
  const kind = installed === undefined ? 'added' : candidate === undefined ? 'removed' : 'changed';
  return {
    ...where,
    kind,
    ...(installed !== undefined && { installed }),
    ...(candidate !== undefined && { candidate }),
  };
}

function diffText(where: Where, before: string | number | undefined, after: string | number | undefined): Difference[] {
  return before === after ? [] : [tell(where, before?.toString(), after?.toString())];
}

/** Lines of one name are compared in their order; that of different names means nothing. RFC 9110 section 5.3. */
function diffLines(place: DifferencePlace, before: EffectLines, after: EffectLines): Difference[] {
  const [own, other] = [gatherLines(before), gatherLines(after)];
  const names = [...new Set([...own.keys(), ...other.keys()])].sort();
  return names.flatMap((name) => {
    const [installed, candidate] = [own.get(name), other.get(name)];
    const isSame = installed?.length === candidate?.length && installed?.every((one, at) => one === candidate?.[at]);
    return isSame ? [] : [tell({ place, name }, toText(installed), toText(candidate))];
  });
}

function gatherLines(lines: EffectLines): ReadonlyMap<string, readonly string[]> {
  const gathered = new Map<string, string[]>();
  for (const [name, value] of lines) {
    const values = gathered.get(name);
    if (values) values.push(value);
    else gathered.set(name, [value]);
  }
  return gathered;
}

/** Several lines are shown as a list, so that two lines and one line with a comma do not look alike. */
function toText(values: readonly string[] | undefined): string | undefined {
  return values === undefined || values.length === 1 ? values?.[0] : JSON.stringify(values);
}

function diffBody(place: DifferencePlace, before: BodyMark | undefined, after: BodyMark | undefined): Difference[] {
  const show = (mark: BodyMark | undefined): string | undefined => mark && `${mark.bytes} bytes`;
  return before?.digest === after?.digest ? [] : [tell({ place }, show(before), show(after))];
}
