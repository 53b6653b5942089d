// Finds texts that stand for others: secrets in a vault, and variables that decK would fill in.
// Must not resolve any: what they stand for is not in the file.
import { CommandError } from '../../output.ts';

/** A text of decK's, to be replaced before the file means what it says. */
const VARIABLE = /\$\{\{\s*env\b/;
const VAULT = /^\{vault:\/\//;

/** Says whether a text names a secret in a vault. */
export function isReference(text: string): boolean {
  return VAULT.test(text);
}

/** Says whether a value holds such a text anywhere. */
export function hasReference(value: unknown): boolean {
  return findText(value, '', isReference) !== undefined;
}

/** @throws CommandError naming the place of a variable: taken as it is, a key would be one that the file tells everybody */
export function refuseVariables(file: unknown): void {
  const place = findText(file, '', (text) => VARIABLE.test(text));
  if (place !== undefined) {
    throw new CommandError(
      `${place.slice(1)}: holds \${{ env ... }}; fill it in first, such as with \`deck file render\``,
    );
  }
}

function findText(value: unknown, place: string, fits: (text: string) => boolean): string | undefined {
  // What is read is nested at most 64 deep.
  if (typeof value === 'string') return fits(value) ? place : undefined;
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [key, inner] of Object.entries(value)) {
    const found = findText(inner, Array.isArray(value) ? `${place}[${key}]` : `${place}.${key}`, fits);
    if (found !== undefined) return found;
  }
  return undefined;
}
