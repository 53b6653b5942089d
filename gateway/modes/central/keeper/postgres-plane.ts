// The control plane as a keeper sees it, over Postgres: documents in, one row about this node out.
// Must not hold SQL or hold up anything when the database is away.
import type { Clock, Logger } from '../../../core/ports.ts';
import { createPostgresSource, type PostgresSource } from '../../../sources/postgres/source.ts';
import type { NodeSettings } from '../settings.ts';
import type { ControlPlane, ControlPlaneHandlers, NodeStatus } from './control-plane.ts';

/** Is what the connection is made of. */
export interface PostgresPlaneOptions extends ControlPlaneHandlers {
  onIndexVersion(version: number | undefined): void;
  readonly databaseUrl: string;
  readonly nodeId: string;
  readonly settings: NodeSettings;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Is the control plane with the source that lookups of credentials go through. */
export interface PostgresPlane extends ControlPlane {
  readonly source: PostgresSource;
  /** Begins to connect; nothing is heard before. */
  start(): void;
}

/** Connects to the control plane, now and again after each loss. */
export function connectPostgres(options: PostgresPlaneOptions): PostgresPlane {
  const { settings, clock, log } = options;
  const identity = {
    id: options.nodeId,
    name: settings.nodeName,
    mode: 'central',
    version: settings.version,
    startedAt: new Date(clock.wallMs()).toISOString(),
  };
  let newest: NodeStatus | undefined;
  let isWriting = false;
  let isClosing = false;

  const source = createPostgresSource({
    databaseUrl: options.databaseUrl,
    log,
    clock,
    onUpdate: (update) => options.onUpdate(update),
    onIndexVersion: (version) => options.onIndexVersion(version),
    onConnection(isConnected) {
      options.onContact(isConnected);
      if (isConnected) void writeNewest();
    },
  });

  // One row at a time, and always the newest: reports that come while one is written are folded into the next.
  const writeNewest = async (): Promise<void> => {
    if (isWriting) return;
    isWriting = true;
    while (newest !== undefined && source.isConnected) {
      const { health, refusal, ...status } = newest;
      newest = undefined;
      const row = { ...identity, ...status, refusal: refusal ?? null, health: { ...health } };
      await source.reportNode(row).catch((error: unknown) => log.warn('the node was not reported', { error }));
    }
    isWriting = false;
  };

  return {
    source,
    report(status) {
      if (isClosing) return;
      newest = status;
      void writeNewest();
    },
    start: () => source.start(),
    async close() {
      isClosing = true;
      newest = undefined;
      // Out of reach: the row counts as gone by itself when it was not renewed for a while.
      await source.removeNode(identity.id).catch(() => undefined);
      await source.stop();
    },
  };
}
