// Signs requests on their way upstream as Standard Webhooks asks: id, time and body, by HMAC SHA-256.
import { definePlugin, type Host, type Plugin } from 'sallyport/plugin';
import type { Config } from './config.ts';
import { hmacSha256, toBase64, toUtf8 } from './hmac.ts';

interface State {
  readonly key: Uint8Array;
  readonly clock: Host['clock'];
}

export const plugin: Plugin<Config, State> = definePlugin<Config, State>({
  setup(_config, host) {
    const secret = host.secrets.get('SIGNING_KEY');
    // Refused here, and not by a signature that anyone could make.
    if (!secret) throw new Error('the secret SIGNING_KEY is not set');
    return { key: toUtf8(secret), clock: host.clock };
  },

  async onUpstreamRequest({ id, request }, config, { key, clock }) {
    const seconds = Math.floor(clock.wallMs() / 1000);
    const body = await request.readBody(config.maxBodyBytes);

    const head = toUtf8(`${id}.${seconds}.`);
    const signed = new Uint8Array(head.length + body.length);
    signed.set(head);
    signed.set(body, head.length);
    request.headers.set('webhook-id', id);
    request.headers.set('webhook-timestamp', String(seconds));
    request.headers.set('webhook-signature', `v1,${toBase64(hmacSha256(key, signed))}`);
  },
});
