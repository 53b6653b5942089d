// What hello says, and to whom.
import assert from 'node:assert/strict';
import { fakeConsumers, readConfig, runPlugin } from 'sallyport/testing';
import { type Config, plugin } from './handler.ts';

const folder = new URL('.', import.meta.url);

describe('hello', () => {
  it('greets the world when nobody is known', async () => {
    const { headers } = await runPlugin(plugin, { config: readConfig<Config>(folder) });

    assert.equal(headers.get('x-hello'), 'Hello, world');
  });

  it('greets the consumer by name, in the words of the configuration', async () => {
    const identity = fakeConsumers({
      username: 'alice',
      credentials: [{ type: 'key-auth', key: 'alice-key' }],
    }).identityOf('alice');

    const { headers } = await runPlugin(plugin, {
      config: readConfig<Config>(folder, { greeting: 'Good morning' }),
      request: { identity },
    });

    assert.equal(headers.get('x-hello'), 'Good morning, alice');
  });

  it('replaces a greeting that the upstream sent', async () => {
    const { headers } = await runPlugin(plugin, {
      config: readConfig<Config>(folder),
      upstream: { headers: { 'x-hello': 'Bonjour' } },
    });

    assert.deepEqual(headers.getAll('x-hello'), ['Hello, world']);
  });

  it('refuses a greeting that could not stand in a header', () => {
    assert.throws(() => readConfig(folder, { greeting: 'a\r\nset-cookie: b' }), { name: 'ConfigError' });
  });
});
