// The parts of a keeper that other folders implement: limits, credentials, the last good copy, the control plane.
// Must not decide anything: it wires.
import { join } from 'node:path';
import { type DocumentState, listChanges } from '../../../core/config.ts';
import type { Update } from '../../../core/model.ts';
import type { Clock, Logger } from '../../../core/ports.ts';
import type { RecordedRequest } from '../../../core/shadow/recorded.ts';
import { createLimitsKeeper } from '../../../limits/lease-keeper.ts';
import type { LimitsWorkerMessage } from '../../../limits/messages.ts';
import { createPostgresStore } from '../../../limits/shared/postgres.ts';
import { createRedisStore } from '../../../limits/shared/redis.ts';
import type { SharedStore } from '../../../limits/shared/store.ts';
import { IsolateBan } from '../../../sandbox/isolate/ban.ts';
import { createDirectory } from '../../../sources/directory/directory.ts';
import type { DirectoryQuestion } from '../../../sources/directory/messages.ts';
import { createLastGood, type LastGood } from '../../../sources/last-good.ts';
import { createFeeder } from '../../../sources/packages/feeder.ts';
import { openPackageFolder } from '../../../sources/packages/folder.ts';
import { type LoadResult, LoadRetries } from '../../../sources/packages/load-retries.ts';
import type { PostgresSource } from '../../../sources/postgres/source.ts';
import { createStatementPool } from '../../../sources/postgres/statement-pool.ts';
import { createRecordings } from '../../../sources/recordings.ts';
import { openKeys } from '../../../sources/sealed-keys.ts';
import { openSecret } from '../../../sources/secrets.ts';
import type { PartsMessage } from '../messages.ts';
import { ReportGate } from '../report-gate.ts';
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
  /** Says that installs are to be loaded again: a package has come, or an index, or it is time for another try. */
  onPackages(): void;
}

/** Is the parts of a keeper. */
export interface KeeperParts {
  readonly lastGood: Pick<LastGood, 'load'>;
  readonly isolates: IsolateBan;
  /** Writes what an update made of the document to the disk; what is reported from here on waits for that. */
  saveCopy(document: DocumentState, update: Update): void;
  /** Reads the copy of the credentials that is on disk. */
  loadCredentials(): Promise<void>;
  connect(databaseUrl: string, nodeId: string, handlers: ControlPlaneHandlers): ControlPlane;
  /** Forgets packages that this document does not pin. */
  keepPackages(document: DocumentState): void;
  /** Takes what a worker came to when it loaded the installs of a revision. */
  noteLoads(result: { readonly revision: number; readonly installs: readonly LoadResult[] }): void;
  /** Opens the keys of certificates, and secrets of installs, on their way to a worker. */
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
  const shared: { redis?: SharedStore; postgres?: SharedStore } = {};
  if (redisUrl !== undefined) shared.redis = createRedisStore({ url: redisUrl, log, random: Math.random });
  const limits = createLimitsKeeper({
    clock,
    send: (workerId, body) => send(workerId, { channel: 'limits', body }),
    shared,
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
  const feeder = createFeeder({
    folder: openPackageFolder(join(settings.dataDir, 'plugins')),
    rootFile: settings.pluginRoot,
    reader: {
      readPackage: async (name) => useSource().readPackage(name),
      readTrust: async () => useSource().readTrust(),
    },
    clock,
    log,
    onChanged: options.onPackages,
  });
  const recordings = createRecordings({
    isConnected: () => source?.isConnected === true,
    write: async (requests) => useSource().recordRequests(requests),
    log,
  });
  const retries = new LoadRetries(options.onPackages);
  // Updates stay in their order, each behind the packages that it pins.
  let isFed: Promise<void> = Promise.resolve();
  const lastGood = createLastGood({ path: join(settings.dataDir, 'last-good'), log });
  const gate = new ReportGate();

  const isolates = new IsolateBan({ path: join(settings.dataDir, 'isolates-off.json'), clock, log });

  return {
    lastGood,
    isolates,
    saveCopy: (document, update) => gate.hold(lastGood.save(document.revision, () => listChanges(document), update)),
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
          gate.hold(directory.apply(update));
          isFed = isFed.then(() => feeder.take(update)).then(() => handlers.onUpdate(update));
        },
        onIndexVersion: (version) => feeder.takeIndexVersion(version),
        onContact(isInContact) {
          directory.setConnected(isInContact);
          handlers.onContact(isInContact);
        },
      });
      source = plane.source;
      const pool = createStatementPool(databaseUrl, `sallyport limits ${settings.nodeName}`);
      shared.postgres = createPostgresStore({ pool, clock, log });
      plane.start();
      return { ...plane, report: (status) => gate.pass(() => plane.report(status)) };
    },
    keepPackages: (document) => feeder.keep(document),
    noteLoads: ({ revision, installs }) => retries.note(revision, installs),
    openKeys: (update) => openKeys(update, (sealed) => openSecret(options.secretKey, sealed)),
    hear(workerId, message) {
      // Our own workers speak; what they send is what the messages.ts of each part says.
      if (message.channel === 'recorded') recordings.take(message.body as readonly RecordedRequest[]);
      else if (message.channel === 'limits') limits.onMessage(workerId, message.body as LimitsWorkerMessage);
      else if (message.channel === 'directory') directory.onMessage(workerId, message.body as DirectoryQuestion);
    },
    workerGone(workerId) {
      limits.workerGone(workerId);
      directory.workerGone(workerId);
    },
    async close() {
      limits.close();
      feeder.close();
      retries.close();
      isolates.close();
      await Promise.all([directory.close(), lastGood.flush(), shared.redis?.close(), shared.postgres?.close()]);
    },
  };
}
