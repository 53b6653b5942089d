// What the commands say when the admin service refuses, or its token cannot be read.
// Must not need a database: an origin answers as the admin service would.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { callAdmin } from '../../cli/admin-client.ts';
import { readSettings } from '../../cli/settings.ts';

describe('a call of the admin service', () => {
  let server: Server;
  let answer: unknown;

  before(async () => {
    server = createServer((_request, response) => {
      response.writeHead(504, { 'content-type': 'application/problem+json' }).end(JSON.stringify(answer));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });

  after(() => new Promise((resolve) => server.close(resolve)));

  const call = (): Promise<string> => {
    const { port } = server.address() as AddressInfo;
    const environment = {
      SALLYPORT_ADMIN_URL: `http://127.0.0.1:${port}`,
      SALLYPORT_ADMIN_TOKEN: 'sallyport_0123456789abcdef',
    };
    return callAdmin(readSettings(environment), { method: 'PUT', path: 'v1/config' });
  };

  it('names for each node that is behind what it refused of the revision', async () => {
    const problems = [
      { pointer: '/bindings/1/config', code: 'SETUP_FAILED', message: 'expected a smaller limit' },
      { pointer: '', code: 'TOO_LARGE', message: 'too much' },
    ];
    answer = {
      title: 'Written, but not everywhere in force',
      detail: 'Revision 7 is written, but not yet in force on: one, two, three.',
      code: 'NODES_BEHIND',
      revision: 7,
      nodes: [
        { name: 'one', refusal: { revision: 7, problems } },
        { name: 'two', refusal: null },
        { name: 'three', refusal: { revision: 5, problems: [{ pointer: '', code: 'OLD', message: 'long ago' }] } },
      ],
    };

    const refused = call();

    await assert.rejects(refused, {
      message: [
        'Written, but not everywhere in force: Revision 7 is written, but not yet in force on: one, two, three.',
        'one refused it:',
        '  /bindings/1/config: expected a smaller limit',
        '  /: too much',
      ].join('\n'),
    });
  });

  it('says why the token cannot be read, when there is one', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sallyport-token-'));
    const settings = readSettings({ SALLYPORT_DATA_DIR: folder });
    try {
      await assert.rejects(callAdmin(settings, { method: 'GET', path: 'v1/config' }), /there is no token at /);
      await mkdir(join(folder, 'admin-token'));

      const called = callAdmin(settings, { method: 'GET', path: 'v1/config' });

      await assert.rejects(called, {
        exitCode: 2,
        message: /^SALLYPORT_ADMIN_TOKEN: not set, and \S+admin-token cannot be read: EISDIR/,
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
