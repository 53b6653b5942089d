// What a central node needs to know from its operator; workers get it from their keeper.
// Must not read the environment.

/** Is what a node is told at its start. */
export interface NodeSettings {
  readonly nodeName: string;
  readonly version: string;
  readonly proxyListen: { readonly host: string; readonly port: number };
  /** Undefined = not over TLS. */
  readonly proxyTlsListen: { readonly host: string; readonly port: number } | undefined;
  readonly statusListen: { readonly host: string; readonly port: number };
  readonly dataDir: string;
  /** File of the root keys that the plugins of the marketplace are trusted by. */
  readonly pluginRoot: string;
  readonly workers: number;
  /** Says whether the keeper has a Redis for limits that all nodes share; its URL is the keeper's alone. */
  readonly hasRedis: boolean;
  readonly drainMs: number;
  readonly logLevel: string;
  readonly trustedProxies: readonly string[];
  /** Who begins connections with a PROXY header. */
  readonly proxyProtocolFrom: readonly string[];
  readonly pluginDirs: readonly string[];
  readonly maxConnections: number;
  /** 0 = no bound. */
  readonly maxConnectionsPerIp: number;
  readonly headersTimeoutMs: number;
  readonly keepAliveMs: number;
}
