// Which ports the workers listen on: those of the settings, and for a free one the port that the first worker got.
// Must not listen.
import { toUrl } from '../../../ops/urls.ts';
import type { ToKeeper, ToWorker } from '../messages.ts';
import type { NodeSettings } from '../settings.ts';

type Listening = Extract<ToKeeper, { readonly channel: 'listening' }>;
type Listen = Extract<ToWorker, { readonly channel: 'listen' }>;

/** Remembers the ports of a node. */
export class ProxyPorts {
  readonly #settings: NodeSettings;
  #wanted: Listen;
  #bound: Listening | undefined;

  constructor(settings: NodeSettings) {
    const { proxyListen, proxyTlsListen } = settings;
    this.#settings = settings;
    const tls = proxyTlsListen ? { tlsPort: proxyTlsListen.port } : {};
    this.#wanted = { channel: 'listen', port: proxyListen.port, ...tls };
  }

  /** Says whether a worker has ever listened. */
  get isBound(): boolean {
    return this.#bound !== undefined;
  }

  /** Is what to tell a worker that may take traffic. */
  get order(): Listen {
    return this.#wanted;
  }

  take(bound: Listening): void {
    this.#bound = bound;
  }

  /** With the last worker the sockets are closed; the next ones must find the same ports, also when they were free ones. */
  keep(): void {
    if (!this.#bound) return;
    const { port, tlsPort } = this.#bound;
    this.#wanted = { channel: 'listen', port, ...(tlsPort === undefined ? {} : { tlsPort }) };
  }

  /** Gives the URLs of the proxy. */
  listUrls({ port, tlsPort }: Listening): Readonly<Record<string, string>> {
    const { proxyListen, proxyTlsListen } = this.#settings;
    const tls = proxyTlsListen && tlsPort ? { proxyTls: toUrl(proxyTlsListen.host, tlsPort, 'https') } : {};
    return { proxy: toUrl(proxyListen.host, port), ...tls };
  }
}
