// Which part of many something falls into, always the same for the same text.
// Must not be used where somebody gains by choosing the part.

/** Parts into which texts fall. */
const PARTS = 10_000;

/** Says whether a text falls into so many percent of all. FNV-1a. */
export function isInPart(text: string, percent: number): boolean {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return (hash >>> 0) % PARTS < (percent / 100) * PARTS;
}
