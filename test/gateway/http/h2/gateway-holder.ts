// Is the other process of held-gateway.ts: a gateway whose end would be the end of the tests.
// Must not outlive the test: it ends when its parent is gone.
import { startGateway } from '../../../support/engine.ts';
import { makeApi, makeRoute, putAll } from '../../../support/entities.ts';

const gateway = await startGateway();
const [web = '', h2c = ''] = process.argv.slice(2);
const apis = [
  makeApi({ name: 'web', upstream: web, routes: [makeRoute({ paths: ['/'] })] }),
  makeApi({
    name: 'h2c',
    upstream: h2c,
    timeouts: { connectMs: 1_000, responseMs: 1_000, idleMs: 1_000 },
    routes: [makeRoute({ paths: ['/h2c'] })],
  }),
];
await gateway.apply(putAll({ apis }));
// A listener keeps the process alive as long as the channel to the parent is open.
process.on('message', () => undefined);
process.on('disconnect', () => process.exit());
process.send?.(gateway.port);
