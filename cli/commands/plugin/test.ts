// `sallyport plugin test`: types, fixtures and unit tests of the plugin in this folder.
// Must not do the work itself: cli/plugin does.
import type { Command } from '../../command.ts';
import type { StepResult } from '../../plugin/unit-tests.ts';

/** As much as a reviewer's run gets. */
const FIXTURE_BUDGET_MS = 10_000;

/** Runs everything and gives 1 when anything fails. */
export const pluginTestCommand: Command = {
  name: 'plugin test',
  usage: '',
  summary: 'checks types and runs the fixtures and unit tests of the plugin of this folder',
  details:
    'Checks the types where TypeScript is installed, runs fixtures/*.json through the pipeline of the gateway, and every\n' +
    '*.test.ts of src/ and test/ with the test runner of Node. What differs from a fixture is shown line by line.',
  examples: ['sallyport plugin test'],
  options: {},
  minArguments: 0,
  maxArguments: 0,
  async run({ environment, output }) {
    const folder = process.cwd();
    const { linkContract } = await import('../../plugin/contract-link.ts');
    const { readProject } = await import('../../plugin/project.ts');
    const { checkTypes, runUnitTests } = await import('../../plugin/unit-tests.ts');
    const { checkFixtures } = await import('../../plugin/check-fixtures.ts');

    const project = await readProject(folder);
    await linkContract(folder);
    const steps: readonly (readonly [string, () => Promise<StepResult>])[] = [
      ['types', () => checkTypes(folder, environment)],
      ['fixtures', () => checkFixtures(project, FIXTURE_BUDGET_MS)],
      ['unit tests', () => runUnitTests(folder, environment)],
    ];
    let hasFailed = false;
    for (const [name, run] of steps) {
      const { ok, summary, details } = await run();
      hasFailed ||= !ok;
      output.print(`${name.padEnd(12)}${ok ? 'ok' : 'FAILED'}  ${summary}`);
      if (details !== '') output.print(indent(details));
    }
    return hasFailed ? 1 : 0;
  },
};

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, '  ');
}
