// What plugins fetch with: one bounded HTTP call to a side service, redirects never followed.
// Must not share connections with the traffic to upstreams.
import { Agent, request } from 'undici';
import { GatewayError } from '../core/errors.ts';
import type { FetchOptions, FetchResult } from '../core/plugin.ts';

const DEFAULT_TIMEOUT_MS = 5_000;
const DEFAULT_MAX_BYTES = 1_048_576;
/** Connections to one side service; more callers wait, within their time-out. */
const MAX_CONNECTIONS = 16;

/** Is the port function with the means to close its connections. */
export interface Fetcher {
  fetch(url: string, options?: FetchOptions): Promise<FetchResult>;
  close(): Promise<void>;
}

/** Makes a fetcher with connections of its own. */
export function createFetcher(): Fetcher {
  const agent = new Agent({ connections: MAX_CONNECTIONS });
  return {
    fetch: (url, options = {}) => fetchBounded(agent, url, options),
    close: () => agent.destroy(),
  };
}

async function fetchBounded(agent: Agent, url: string, options: FetchOptions): Promise<FetchResult> {
  const signal = AbortSignal.timeout(options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  const response = await request(url, {
    dispatcher: agent,
    method: (options.method ?? 'GET') as 'GET',
    headers: { ...options.headers },
    body: options.body ?? null,
    signal,
  });

  const maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    // Leaving the loop destroys the body and with it the connection.
    if (size > maxBytes) throw new GatewayError('BODY_TOO_LARGE', 'a side service sent more than expected');
    chunks.push(chunk);
  }
  const headers = Object.entries(response.headers).map(([name, value]) => [name, String(value ?? '')]);
  return { status: response.statusCode, headers: Object.fromEntries(headers), body: Buffer.concat(chunks) };
}
