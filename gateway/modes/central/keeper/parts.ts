// The parts of a keeper that other folders implement: limits, credentials, the last good copy, the control plane.
// Must not decide anything: it wires.
import { join } from 'node:path';
import type { Update } from '../../../core/model.ts';
import type { Clock, Logger } from '../../../core/ports.ts';
import { createLimitsKeeper } from '../../../limits/lease-keeper.ts';
import type { LimitsWorkerMessage } from '../../../limits/messages.ts';
import { createRedisStore } from '../../../limits/shared.ts';
import { createDirectory } from '../../../sources/directory/directory.ts';
import type { DirectoryQuestion } from '../../../sources/directory/messages.ts';
import { createLastGood, type LastGood } from '../../../sources/last-good.ts';
import type { PostgresSource } from '../../../sources/postgres/source.ts';
import { openKeys } from '../../../sources/sealed-keys.ts';
import { openSecret } from '../../../sources/secrets.ts';
import type { PartsMessage } from '../messages.ts';
import type { NodeSettings } from '../settings.ts';
import type { ControlPlane, ControlPlaneHandlers } from './control-plane.ts';
import { connectPostgres } from './postgres-plane.ts';

/** Is what the parts are made of. */
export interface KeeperPartsOptions {
  readonly settings: NodeSettings;
  /** Opens sealed secrets of credentials and keys of certificates; never leaves this process. */
  readonly secretKey: Uint8Array;
  /** Counts that all nodes share live there; undefined = there are none. May hold a password. */
  readonly redisUrl: string | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  send(workerId: number, message: PartsMessage): void;
}

/** Is the parts of a keeper. */
export interface KeeperParts {
  readonly lastGood: LastGood;
  /** Reads the copy of the credentials that is on disk. */
  loadCredentials(): Promise<void>;
  connect(databaseUrl: string, nodeId: string, handlers: ControlPlaneHandlers): ControlPlane;
  /** Opens the keys of certificates on their way to a worker. */
  openKeys(update: Update): Update;
  /** Takes a worker's message for limits or credentials. */
  hear(workerId: number, message: PartsMessage): void;
  workerGone(workerId: number): void;
  close(): Promise<void>;
}

/** Makes the parts. */
export function openParts(options: KeeperPartsOptions): KeeperParts {
  const { settings, clock, log, send } = options;
  let source: PostgresSource | undefined;
  const useSource = (): PostgresSource => {
    if (source === undefined) throw new Error('the database is not known yet');
    return source;
  };
  const { redisUrl } = options;
  const shared = redisUrl === undefined ? undefined : createRedisStore({ url: redisUrl, log, random: Math.random });
  const limits = createLimitsKeeper({
    clock,
    send: (workerId, body) => send(workerId, { channel: 'limits', body }),
    ...(shared && { shared }),
  });
  const directory = createDirectory({
    reader: {
      findCredential: async (type, lookup) => useSource().findCredential(type, lookup),
      readIdentities: async (sink) => useSource().readIdentities(sink),
    },
    openSecret: (sealed) => openSecret(options.secretKey, sealed),
    path: join(settings.dataDir, 'credentials'),
    clock,
    log,
    send: (workerId, body) => send(workerId, { channel: 'directory', body }),
  });
  const lastGood = createLastGood({ path: join(settings.dataDir, 'last-good'), log });

  return {
    lastGood,
    loadCredentials: () => directory.load(),
    connect(databaseUrl, nodeId, handlers) {
      const plane = connectPostgres({
        databaseUrl,
        nodeId,
        settings,
        clock,
        log,
        // A revoked credential is forgotten before any worker runs the revision that revoked it.
        onUpdate(update: Update) {
          directory.apply(update);
          handlers.onUpdate(update);
        },
        onContact(isInContact) {
          directory.setConnected(isInContact);
          handlers.onContact(isInContact);
        },
      });
      source = plane.source;
      plane.start();
      return plane;
    },
    openKeys: (update) => openKeys(update, (sealed) => openSecret(options.secretKey, sealed)),
    hear(workerId, message) {
      // Our own workers speak; what they send is what the messages.ts of each part says.
      if (message.channel === 'limits') limits.onMessage(workerId, message.body as LimitsWorkerMessage);
      else directory.onMessage(workerId, message.body as DirectoryQuestion);
    },
    workerGone(workerId) {
      limits.workerGone(workerId);
      directory.workerGone(workerId);
    },
    async close() {
      limits.close();
      await Promise.all([directory.close(), lastGood.flush(), shared?.close()]);
    },
  };
}
