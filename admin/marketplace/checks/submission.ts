// All that is checked of a submission before anybody asks what else there is.
// Must not run the code in this process.
import type { Submission } from '../submission.ts';
import type { Check } from './check.ts';
import { checkFixtures } from './fixtures.ts';
import { checkPackage } from './package.ts';

/** Runs the checks; only what passes all others gets its fixtures run. */
export async function checkSubmission(submission: Submission): Promise<readonly Check[]> {
  const checks = await checkPackage(submission);
  const isSound = checks.every(({ result }) => result !== 'failed');
  return isSound ? [...checks, await checkFixtures(submission.package)] : checks;
}
