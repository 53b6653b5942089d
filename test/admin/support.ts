// Starts an admin service over a database of its own, and calls it over real HTTP.
// Must not be imported outside tests of the admin.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Admin, startAdmin } from '../../admin/main.ts';
import type { Logger } from '../../gateway/core/plugin.ts';
import { BUILT_IN_PLUGINS } from '../../gateway/loader.ts';
import { createDatabase, silentLog, type TestDatabase } from '../support/product/database.ts';

/** The owner's token of every test admin. */
export const OWNER_TOKEN = 'owner-token-of-the-tests';

/** The key that seals secrets in tests. */
const SECRET_KEY: Uint8Array = new Uint8Array(32).fill(7);

/** Is an answer, read whole. */
export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The JSON body; undefined when there is none. */
  readonly body: Record<string, unknown>;
}

/** Says how to call; the body is sent as JSON unless it is text or bytes. */
export interface CallOptions {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** `null` sends none. */
  readonly token?: string | null;
}

/** Is a running admin service and the way to call it. */
export interface TestAdmin {
  readonly url: string;
  readonly database: TestDatabase;
  call(method: string, path: string, options?: CallOptions): Promise<Reply>;
  /** Calls, and fails the test unless the answer has that status. */
  expect(status: number, method: string, path: string, options?: CallOptions): Promise<Reply>;
  /** Gives the current revision. */
  revision(): Promise<number>;
  close(): Promise<void>;
}

/** Starts an admin service; with `database` a further one beside another. */
export async function startTestAdmin(
  options: {
    readonly database?: TestDatabase;
    readonly databaseUrl?: string;
    readonly marketplaceDir?: string;
    readonly log?: Logger;
  } = {},
): Promise<TestAdmin> {
  const database = options.database ?? (await createDatabase());
  const marketplaceDir = options.marketplaceDir ?? (await mkdtemp(join(tmpdir(), 'sallyport-market-')));
  const admin: Admin = await startAdmin({
    listen: { host: '127.0.0.1', port: 0 },
    databaseUrl: options.databaseUrl ?? database.url,
    pluginDirs: [BUILT_IN_PLUGINS],
    marketplaceDir,
    secretKey: SECRET_KEY,
    bootstrapToken: OWNER_TOKEN,
    log: options.log ?? silentLog,
    version: '0.0.0',
    allowedHosts: ['admin.test'],
  });
  const call = (method: string, path: string, callOptions: CallOptions = {}): Promise<Reply> =>
    send(`${admin.url}${path}`, method, callOptions);
  return {
    url: admin.url,
    database,
    call,
    async expect(status, method, path, callOptions) {
      const reply = await call(method, path, callOptions);
      assert.equal(reply.status, status, `${method} ${path}: ${reply.text.slice(0, 2000)}`);
      return reply;
    },
    async revision() {
      const reply = await call('GET', '/v1/apis?limit=1');
      return Number(reply.headers.get('sallyport-revision'));
    },
    async close() {
      await admin.close();
      if (options.database === undefined) await database.drop();
      if (options.marketplaceDir === undefined) await rm(marketplaceDir, { recursive: true, force: true });
    },
  };
}

async function send(
  url: string,
  method: string,
  { body, headers = {}, token = OWNER_TOKEN }: CallOptions,
): Promise<Reply> {
  const isRaw = typeof body === 'string' || body instanceof Uint8Array;
  const response = await fetch(url, {
    method,
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: isRaw ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = /json/.test(response.headers.get('content-type') ?? '') && text !== '';
  return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : {} };
}
