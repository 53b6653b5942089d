// Hides the values of named fields in JSON responses, chunk by chunk: no body is ever held back whole.
import { definePlugin, type Exchange, type Plugin } from 'sallyport/plugin';
import type { Config } from './config.ts';
import { type Masking, maskChunk, type Scan, START } from './scan.ts';

/** Where the scan of an exchange is kept between its chunks. */
const SCAN = 'examples/json-masker.scan';

export const plugin: Plugin<Config, Masking> = definePlugin<Config, Masking>({
  setup: (config) => ({
    fields: new Set(config.fields),
    mask: Uint8Array.from(`"${config.mask}"`, (character) => character.charCodeAt(0)),
  }),

  onRequest({ request }) {
    // What is compressed cannot be read, and a part of a document hides the names that its values belong to.
    request.headers.set('accept-encoding', 'identity');
    request.headers.delete('range');
  },

  onResponse(exchange) {
    const headers = exchange.response?.headers;
    if (!headers || !isJson(headers.get('content-type'))) return;
    const encoding = headers.get('content-encoding') ?? 'identity';
    if (encoding.toLowerCase() === 'identity') exchange.state.set(SCAN, START);
    else refuse(exchange);
  },

  onResponseChunk(chunk, _last, exchange, _config, masking) {
    const scan = exchange.state.get(SCAN) as Scan | undefined;
    if (!scan) return undefined;
    const { bytes, next } = maskChunk(chunk, scan, masking);
    exchange.state.set(SCAN, next);
    return bytes;
  },
});

function isJson(contentType = ''): boolean {
  return /^[a-z]+\/(?:[\w.-]+\+)?json\b/i.test(contentType.trim());
}

function refuse(exchange: Exchange): void {
  const body = JSON.stringify({ title: 'The response cannot be masked', status: 502 });
  exchange.respond(502, { 'content-type': 'application/problem+json' }, body);
}
