// Who may call what: every route of the table, with every kind of token; and what keeps browsers out.
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { type Access, ROLE_ACCESS, type Role } from '../../admin/call.ts';
import { ROUTES } from '../../admin/routes/table.ts';
import { runSql } from '../support/product/database.ts';
import { OWNER_TOKEN, startTestAdmin, type TestAdmin } from './support.ts';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;

describe('admin access', () => {
  let admin: TestAdmin;
  const tokens = new Map<string, string | null>([['nobody', null]]);

  before(async () => {
    admin = await startTestAdmin();
    for (const role of ['viewer', 'editor', 'publisher', 'reviewer'] as const) {
      const made = await admin.expect(201, 'POST', '/v1/tokens', { body: { name: `a-${role}`, role } });
      tokens.set(role, String(made.body['token']));
    }
  });

  after(async () => {
    await admin.close();
  });

  const paths = [...new Set(ROUTES.filter(({ role }) => role !== 'public').map(({ path }) => path))];
  for (const path of paths) {
    it(`lets only the right roles call ${path}`, async () => {
      const concrete = path.replace(/:\w+/g, 'none');
      for (const [who, token] of tokens) {
        for (const method of METHODS) {
          const route = ROUTES.find((one) => one.path === path && one.method === (method === 'HEAD' ? 'GET' : method));
          // Whatever gets past the role is stopped here: there is no such parameter.
          const { status, headers } = await admin.call(method, `${concrete}?past=role`, { token });
          const access = who === 'nobody' ? [] : ROLE_ACCESS[who as Role];
          const expected =
            access.length === 0
              ? 401
              : route === undefined
                ? method === 'OPTIONS'
                  ? 200
                  : 405
                : !access.includes(route.role as Access)
                  ? 403
                  : 400;
          assert.equal(status, expected, `${who} ${method} ${path}`);
          if (status === 405) assert.ok(headers.get('allow'));
        }
      }
    });
  }

  it('lets nobody past a role by the spelling of a path', async () => {
    const { hostname, port } = new URL(admin.url);
    const token = tokens.get('viewer') ?? '';
    const spellings = [
      ...[
        '/v1/apis/x/../../tokens',
        '/v1/apis/../tokens',
        '/v1/apis/%2e%2e/tokens',
        '/v1/apis/..%2ftokens',
        '/v1//tokens',
      ],
      ...[
        '//v1/tokens',
        '/v1/tokens/',
        '/v1/tokensX',
        '/v1/./tokens',
        '/V1/TOKENS',
        '/v1/%74okens',
        '/v1/tokens;x',
        '/v1\\tokens',
      ],
      ...[`http://${hostname}:${port}/v1/tokens`, '/v1/tokens/0', '/v1/tokens/00', '/v1/apis/01', '/v1/tokens%00'],
    ];

    for (const path of spellings) {
      const status = await new Promise<number>((resolve, reject) => {
        const headers = { authorization: `Bearer ${token}` };
        const sent = request({ host: hostname, port, path, headers }, (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        });
        sent.on('error', reject).end();
      });

      assert.ok([400, 403, 404].includes(status), `${path}: ${status}`);
    }
  });

  it('answers 401 with a challenge before it says whether a path exists', async () => {
    const reply = await admin.expect(401, 'GET', '/v1/nowhere', { token: null });

    assert.match(reply.headers.get('www-authenticate') ?? '', /^Bearer/);
    assert.equal(reply.body['code'], 'TOKEN_INVALID');
    await admin.expect(404, 'GET', '/v1/nowhere');
    await admin.expect(200, 'GET', '/livez', { token: null });
  });

  it('slows down whoever guesses, but never a valid token', async () => {
    const statuses: number[] = [];
    for (let guess = 0; guess < 35; guess++) {
      const reply = await admin.call('GET', '/v1/apis', { token: `guess-${guess}` });
      statuses.push(reply.status);
      if (reply.status === 429) assert.ok(Number(reply.headers.get('retry-after')) >= 1);
    }

    assert.ok(statuses.filter((status) => status === 401).length <= 30);
    assert.equal(statuses.at(-1), 429);
    await admin.expect(200, 'GET', '/v1/apis');
  });

  it('forgets a token when it is revoked, and keeps the last owner', async () => {
    const made = await admin.expect(201, 'POST', '/v1/tokens', { body: { name: 'short-lived', role: 'viewer' } });
    const token = String(made.body['token']);
    const listed = await admin.expect(200, 'GET', '/v1/tokens');

    await admin.expect(200, 'GET', '/v1/apis', { token });
    await admin.expect(409, 'POST', '/v1/tokens', { body: { name: 'short-lived', role: 'viewer' } });
    await admin.expect(204, 'DELETE', '/v1/tokens/short-lived');
    await admin.expect(409, 'DELETE', '/v1/tokens/bootstrap');

    const gone = await admin.call('GET', '/v1/apis', { token });
    assert.ok(gone.status === 401 || gone.status === 429);
    assert.ok(!listed.text.includes(token));
  });

  it('points to the name that another token has, and counts in a dry run as every write does', async () => {
    const body = { name: 'once', role: 'viewer' };
    const dry = await admin.expect(200, 'POST', '/v1/tokens?dryRun=true', { body });
    await admin.expect(201, 'POST', '/v1/tokens', { body });

    const refused = await admin.expect(409, 'POST', '/v1/tokens', { body });

    assert.deepEqual(dry.body['counts'], { create: 1, update: 0, delete: 0 });
    assert.deepEqual((refused.body['problems'] as { pointer: string }[])[0]?.pointer, '/name');
  });

  it('refuses a foreign Host and a foreign Origin', async () => {
    const { port } = new URL(admin.url);
    const ask = (headers: Record<string, string>): Promise<number> =>
      new Promise((resolve, reject) => {
        const sent = request({ host: '127.0.0.1', port, path: '/livez', headers }, (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        });
        sent.on('error', reject).end();
      });
    const cases: readonly (readonly [Record<string, string>, number])[] = [
      [{ host: `localhost:${port}` }, 200],
      [{ host: `127.0.0.1:${port}` }, 200],
      [{ host: `[::1]:${port}` }, 200],
      [{ host: 'admin.test' }, 200],
      [{ host: 'evil.example' }, 403],
      [{ host: '127.0.0.1.evil.example' }, 403],
      ...[
        'localhost@evil.example',
        'evil.example/localhost',
        'evil.example?localhost',
        'localhost#',
        'localhost localhost',
      ].map((host): readonly [Record<string, string>, number] => [{ host }, 403]),
      [{ host: 'localhost', origin: 'http://localhost' }, 200],
      [{ host: 'localhost', origin: 'http://evil.example' }, 403],
      [{ host: 'localhost', origin: 'null' }, 403],
    ];

    for (const [headers, status] of cases) assert.equal(await ask(headers), status, JSON.stringify(headers));
  });

  it('sends the headers that keep an answer from being framed, sniffed or kept', async () => {
    const { headers } = await admin.call('GET', '/v1/apis');

    assert.equal(headers.get('x-content-type-options'), 'nosniff');
    assert.equal(headers.get('cache-control'), 'no-store');
    assert.match(headers.get('content-security-policy') ?? '', /default-src 'none'/);
    assert.equal(headers.get('access-control-allow-origin'), null);
  });

  it('logs a failed statement without the values it carried', async () => {
    const lines: string[] = [];
    const line = (message: string, fields?: object): void => void lines.push(`${message} ${JSON.stringify(fields)}`);
    const broken = await startTestAdmin({ log: { debug: line, info: line, warn: line, error: line } });
    try {
      await broken.expect(201, 'PUT', '/v1/consumers/alice', { body: {} });
      await runSql(broken.database.url, 'ALTER TABLE credentials RENAME TO gone');
      const body = { type: 'basic-auth', username: 'canary-name', password: 'canary-word' };

      const failed = await broken.expect(500, 'POST', '/v1/consumers/alice/credentials', { body });

      assert.ok(lines.some((text) => text.includes('request failed')));
      assert.ok(!/canary|scrypt/.test(lines.join('')) && !/canary|credentials|SQL/.test(failed.text));
    } finally {
      await broken.close();
    }
  });

  it('keeps tokens only as hashes and never tells the token of the tests', async () => {
    const audit = await admin.expect(200, 'GET', '/v1/audit?kind=token');

    assert.ok((audit.body['data'] as unknown[]).length >= 2);
    assert.ok(!audit.text.includes(OWNER_TOKEN) && !audit.text.includes('sallyport_'));
  });
});
