// Looks for private keys and tokens that were packed by mistake.
// Must not repeat what it found: a check is stored and shown.
import { type Check, failed, passed } from './check.ts';

/** Each matches a form that is a secret and next to nothing else. All run in linear time: no part can match in two ways. */
const FORMS: readonly (readonly [string, RegExp])[] = [
  ['a private key', /-----BEGIN (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----/],
  ['a Sallyport token', /\bsallyport_[A-Za-z0-9_-]{43}/],
  ['a GitHub token', /\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{82})/],
  ['a GitLab token', /\bglpat-[A-Za-z0-9_-]{20}/],
  ['an npm token', /\bnpm_[A-Za-z0-9]{36}/],
  ['an AWS key id', /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/],
  ['a Google key', /\bAIza[A-Za-z0-9_-]{35}/],
  ['a Slack token', /\bxox[abeoprs]-[A-Za-z0-9-]{10}/],
  ['a Stripe key', /\b(?:sk|rk)_live_[A-Za-z0-9]{20}/],
  ['an OpenAI or Anthropic key', /\bsk-(?:ant-|proj-)[A-Za-z0-9_-]{20}/],
  ['an npm login', /\/\/[A-Za-z0-9.:-]{1,255}\/:_authToken=[^\s$]{8}/],
];

/** Checks every file of a package. */
export function checkSecrets(files: ReadonlyMap<string, Uint8Array>): Check {
  const found = [...files].flatMap(([name, bytes]) => {
    // Every form is ASCII, so a reading byte by byte finds it in whatever surrounds it.
    const text = Buffer.from(bytes).toString('latin1');
    return FORMS.filter(([, form]) => form.test(text)).map(([what]) => `${what} in ${name}`);
  });
  if (found.length === 0) return passed('secrets', `No private key or token in ${files.size} files.`);
  return failed(
    'secrets',
    `Found ${found.join(', ')}. Consider it known to others, replace it, and publish a new version.`,
  );
}
