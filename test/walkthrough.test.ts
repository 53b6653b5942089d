// Runs the walk-through that the orders example shows, word for word, against the whole product.
// Must not replace anything in the commands but the ports.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { readSteps, type Step } from './support/walkthrough.ts';

const EXAMPLE = new URL('../../examples/orders/', import.meta.url);

async function readPage(): Promise<readonly Step[]> {
  return readSteps(await readFile(new URL('README.md', EXAMPLE), 'utf8'));
}

describe('the walk-through', () => {
  it('is the same in the page and in the script', async () => {
    const steps = await readPage();

    const script = await readFile(new URL('walkthrough.sh', EXAMPLE), 'utf8');

    assert.ok(steps.length > 5);
    assert.equal(script.slice(script.indexOf('\n\n') + 2), steps.map(({ commands }) => commands).join('\n'));
  });
});
