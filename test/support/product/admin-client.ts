// Calls the admin REST of a running product as an operator's script would.
// Must not hide a refusal: anything but success throws with the answer.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunningProduct } from './gateway.ts';

/** Is an answer of the admin service. */
export interface AdminAnswer {
  readonly status: number;
  readonly revision: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Is a client with the owner's token. */
export interface AdminClient {
  /** @throws Error with status and body unless the status is 2xx. */
  call(method: string, path: string, body?: unknown): Promise<AdminAnswer>;
  /** As `call`, but gives refusals back too. */
  tryCall(method: string, path: string, body?: unknown): Promise<AdminAnswer>;
}

/** Makes a client of a product that `start` runs. */
export async function connectAdmin(product: Pick<RunningProduct, 'dataDir' | 'urls'>): Promise<AdminClient> {
  const token = (await readFile(join(product.dataDir, 'admin-token'), 'utf8')).trim();
  const tryCall: AdminClient['tryCall'] = async (method, path, body) => {
    const response = await fetch(`${product.urls.admin}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      revision: Number(response.headers.get('sallyport-revision') ?? 0),
      body: text === '' ? {} : (JSON.parse(text) as Readonly<Record<string, unknown>>),
    };
  };
  return {
    tryCall,
    async call(method, path, body) {
      const answer = await tryCall(method, path, body);
      if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
      return answer;
    },
  };
}
