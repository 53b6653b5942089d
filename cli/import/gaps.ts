// Closes the gaps that apis leave when they go off: their requests must not come to the same upstream by another api.
// Must not find out why an api is off.
import type { ApiDraft, ImportDraft } from './draft.ts';

/** Turns off every api that could take requests which an api that is off guarded, until none is left. */
export function closeGaps(draft: ImportDraft): void {
  const byHost = new Map<string, ApiDraft[]>();
  for (const api of draft.apis) {
    for (const host of api.reach) byHost.set(host, [...(byHost.get(host) ?? []), api]);
  }
  // What was off before left no gap: its requests went elsewhere already.
  const open = [...draft.apis.filter(({ isOff }) => isOff), ...draft.removedApis].filter(
    ({ wasEnabled }) => wasEnabled,
  );
  for (let api = open.pop(); api !== undefined; api = open.pop()) {
    for (const heir of findHeirs(draft, api, byHost)) {
      open.push(heir);
      const message = `reaches the same upstream as ${api.name}, which is off: its requests would come here, past its plugins`;
      draft.switchOff([heir], heir.place, message);
    }
  }
}

function findHeirs(
  draft: ImportDraft,
  api: ApiDraft,
  byHost: ReadonlyMap<string, readonly ApiDraft[]>,
): readonly ApiDraft[] {
  const sharing = [...api.reach].flatMap((host) => byHost.get(host) ?? []);
  const overlapping = draft.overlaps.get(api);
  // An api that reaches nothing of its own answered by its plugins alone, so every upstream behind it counts.
  const candidates = api.reach.size === 0 ? [...(api.hasLostRoutes ? draft.apis : (overlapping ?? []))] : sharing;
  const isHeir = (other: ApiDraft): boolean =>
    other !== api &&
    other.wasEnabled &&
    !other.isOff &&
    other.routes.length > 0 &&
    (api.hasLostRoutes || overlapping?.has(other) === true);
  return [...new Set(candidates)].filter(isHeir);
}
