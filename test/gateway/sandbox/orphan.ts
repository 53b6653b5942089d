// A worker to be killed: opens a package whose hook loops, says the process id of its child, and waits.
// Must not end by itself.

import { openSandbox } from '../../../gateway/sandbox/sandbox.ts';
import { fakeHost, startPlugin } from '../../../gateway/testing.ts';
import { buildCode, buildManifest, listChildren, SILENT } from './support.ts';

const manifest = buildManifest({ limits: { timeoutMs: 60_000, memoryMb: 32 } });
const { plugin } = await openSandbox({
  code: buildCode({ hooks: 'onRequest() { for (;;) {} }' }),
  manifest,
  granted: {},
  secrets: {},
  tier: 'process',
  log: SILENT,
});
const running = await startPlugin(plugin, { config: {}, host: fakeHost(), manifest });
const children = listChildren();
void running.send();
setImmediate(() => process.stdout.write(`${children.map(({ pid }) => pid).join(' ')}\n`));
setInterval(() => undefined, 60_000);
