// Runs the fixtures of a plugin's project and says what differs.
// Must not decide what a fixture means: the kit does.
import { runFixtures } from '../../gateway/testing.ts';
import { openBundler } from './bundle.ts';
import { loadBundle } from './load.ts';
import type { PluginProject } from './project.ts';
import type { StepResult } from './unit-tests.ts';

/** Runs them all. @throws BundleError when the plugin does not compile, CommandError when it does not load. */
export async function checkFixtures(project: PluginProject, budgetMs: number): Promise<StepResult> {
  const bundler = await openBundler(project.folder);
  try {
    const { code } = await bundler.build();
    const { plugin } = await loadBundle(project, code);
    const results = await runFixtures(plugin, project.manifest, project.configSchema, project.fixtures, { budgetMs });
    const failed = results.filter(({ ok }) => !ok);
    return {
      ok: failed.length === 0,
      summary: `${results.length - failed.length} passed, ${failed.length} failed`,
      details: failed.map(({ name, problems }) => [name, ...problems.map((one) => `  ${one}`)].join('\n')).join('\n'),
    };
  } finally {
    await bundler.close();
  }
}
