// Runs the fixtures of a plugin's project as a node will: in the tier of the marketplace, with what the manifest asks for.
// Must not decide what a fixture means: the kit does.
import { findTier } from '../../gateway/sandbox/sandbox.ts';
import { fixtureManifest, fixtureSecrets, runFixtures } from '../../gateway/testing.ts';
import { bundlePlugin } from './bundle.ts';
import { loadBundle } from './load.ts';
import type { PluginProject } from './project.ts';
import type { StepResult } from './unit-tests.ts';

const silent = (): void => undefined;
/** What breaks a rule fails its hook, and with it the fixture, which says so. */
const NO_LOG = { debug: silent, info: silent, warn: silent, error: silent };

/** Runs them all. @throws BundleError when the plugin does not compile, CommandError when it does not load. */
export async function checkFixtures(project: PluginProject, budgetMs: number): Promise<StepResult> {
  const { folder, manifest, configSchema, fixtures } = project;
  const { code } = await bundlePlugin(folder);
  const tier = findTier('marketplace');
  const patient = { ...project, manifest: fixtureManifest(manifest) };
  const { loaded, close } = await loadBundle(patient, code, { tier, secrets: fixtureSecrets(manifest), log: NO_LOG });
  try {
    const results = await runFixtures(loaded.plugin, manifest, configSchema, fixtures, { budgetMs });
    const failed = results.filter(({ ok }) => !ok);
    return {
      ok: failed.length === 0,
      summary: `${results.length - failed.length} passed, ${failed.length} failed`,
      details: failed.map(({ name, problems }) => [name, ...problems.map((one) => `  ${one}`)].join('\n')).join('\n'),
    };
  } finally {
    await close();
  }
}
