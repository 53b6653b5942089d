// The keeper of a node: leads the workers, owns the document in force, reports to the control plane.
// Must not be on the way of a request, and must not run plugin code.
import { setTimeout as delay } from 'node:timers/promises';
import type { DocumentState } from '../../../core/config.ts';
import type { Update } from '../../../core/model.ts';
import { createClock } from '../../../ops/clock.ts';
import { createDeferred } from '../../../ops/deferred.ts';
import { createLog, type Log } from '../../../ops/log.ts';
import { type StatusServer, startStatus } from '../../../ops/status.ts';
import { toUrl } from '../../../ops/urls.ts';
import { COMPILED_KINDS } from '../../../sources/postgres/document.ts';
import type { ToKeeper } from '../messages.ts';
import type { NodeSettings } from '../settings.ts';
import type { ControlPlane } from './control-plane.ts';
import { Cuts } from './cuts/cuts.ts';
import { KeeperFailure, toFailure } from './failure.ts';
import { createFleet, type Fleet } from './fleet.ts';
import type { Member } from './member.ts';
import { readNodeId } from './node-id.ts';
import { Observer } from './observer.ts';
import { type KeeperParts, openParts } from './parts.ts';
import { ProxyPorts } from './proxy-ports.ts';
import { Publisher, type RevisionRefusal } from './publisher.ts';
import { createTicketSecret, type TicketSecret } from './ticket-secret.ts';

/** Is what a keeper is made of. */
export interface KeeperOptions {
  readonly settings: NodeSettings;
  /** 32 bytes that open sealed secrets; not told to workers. */
  readonly secretKey: Uint8Array;
  /** For limits that all nodes share; stays in this process. */
  readonly redisUrl: string | undefined;
  /** Is known as soon as the database runs. */
  readonly databaseUrl: Promise<string>;
}

/** Is a running keeper. */
export interface Keeper {
  /** Gives the URLs of proxy and status port as soon as the first worker serves. Rejects with `failed`. */
  readonly ready: Promise<Readonly<Record<string, string>>>;
  /** Rejects when the node cannot start. @throws KeeperFailure */
  readonly failed: Promise<never>;
  /** Finishes: /readyz fails, workers drain, the control plane is told. */
  drain(): Promise<void>;
  /** Ends the workers at once. */
  kill(): void;
  /** Makes plugins reopen their files. */
  reopen(): void;
}

/** How long the database may take at the start before the last good copy on disk serves instead. */
const DISK_PATIENCE_MS = 1_000;
/** How often the report to the control plane is renewed; a node counts as gone after three times as long. */
const REPORT_INTERVAL_MS = 5_000;
/** What a worker gets beyond the drain time to close what it opened. */
const DRAIN_GRACE_MS = 2_000;

/** Starts a node in this process and its workers. */
export function startKeeper(options: KeeperOptions): Keeper {
  return new NodeKeeper(options);
}

class NodeKeeper implements Keeper {
  readonly #settings: NodeSettings;
  readonly #clock = createClock();
  readonly #log: Log;
  readonly #fleet: Fleet;
  readonly #parts: KeeperParts;
  readonly #publisher: Publisher<Member>;
  readonly #observer: Observer;
  readonly #cuts: Cuts;
  readonly #firstNews = createDeferred<void>();
  readonly #failure = createDeferred<never>();
  readonly #serving = createDeferred<Readonly<Record<string, string>>>();
  readonly failed = this.#failure.promise;
  readonly ready = Promise.race([this.failed, this.#serving.promise]);
  #offeredSource: 'live' | 'disk' = 'live';
  #status: StatusServer | undefined;
  #controlPlane: ControlPlane | undefined;
  #reportTimer: NodeJS.Timeout | undefined;
  #isUnconfigured = false;
  #isDraining = false;
  readonly #ports: ProxyPorts;
  readonly #tickets: TicketSecret;

  constructor(options: KeeperOptions) {
    const { settings, databaseUrl } = options;
    this.#settings = settings;
    this.#ports = new ProxyPorts(settings);
    this.#tickets = createTicketSecret((secret) => this.#fleet.tell({ channel: 'tickets', secret }));
    this.#log = createLog({ level: settings.logLevel, fields: { process: 'keeper' } });
    this.#parts = openParts({
      ...options,
      clock: this.#clock,
      log: this.#log,
      send: (workerId, message) => this.#fleet.find(workerId)?.send(message),
      onPackages: () => this.#publisher.refreshInstalls(),
    });
    this.#publisher = new Publisher({
      clock: this.#clock,
      log: this.#log,
      onCommitted: (document, update, tookMs) => this.#takeCommitted(document, update, tookMs),
      onRefused: (refusal) => this.#takeRefusal(refusal),
      onJoined: (member) => {
        member.state = 'joined';
        this.#cuts.welcome(member);
        this.#openListeners();
      },
    });
    this.#fleet = createFleet({
      size: settings.workers,
      clock: this.#clock,
      log: this.#log,
      isolates: this.#parts.isolates,
      unseal: (update) => this.#parts.openKeys(update),
      onMessage: (member, message) => this.#hear(member, message),
      onGone: (member) => this.#bury(member),
    });
    const [fleet, publisher] = [this.#fleet, this.#publisher];
    this.#cuts = new Cuts({ clock: this.#clock, log: this.#log, fleet });
    this.#observer = new Observer({ settings, clock: this.#clock, fleet, publisher, cuts: this.#cuts });
    this.#boot(databaseUrl).catch((error: unknown) => this.#failure.reject(toFailure('start', error)));
  }

  async drain(): Promise<void> {
    this.#isDraining = true;
    clearInterval(this.#reportTimer);
    this.#tickets.close();
    this.#log.debug('draining', { drainMs: this.#settings.drainMs });
    await this.#fleet.drain(this.#settings.drainMs + DRAIN_GRACE_MS);
    await this.#controlPlane?.close();
    await this.#parts.close();
    await this.#status?.close();
    this.#observer.close();
    this.#log.flush();
  }

  kill(): void {
    this.#isDraining = true;
    clearInterval(this.#reportTimer);
    this.#fleet.kill();
    this.#log.flush();
  }

  reopen(): void {
    this.#fleet.tell({ channel: 'reopen' });
  }

  async #boot(databaseUrl: Promise<string>): Promise<void> {
    this.#fleet.start();
    await this.#openStatus();
    const disk = this.#serveFromDiskUnlessFed(this.#parts.loadCredentials());
    const [url, nodeId] = await Promise.all([databaseUrl, readNodeId(this.#settings.dataDir)]);
    if (this.#isDraining) return;
    this.#controlPlane = this.#parts.connect(url, nodeId, {
      // Consumers and credentials are looked up, not compiled: they went to the directory.
      onUpdate: ({ changes, ...update }) =>
        this.#offer({ ...update, changes: changes.filter(({ kind }) => COMPILED_KINDS.includes(kind)) }, 'live'),
      onContact: (isInContact) => this.#takeContact(isInContact),
    });
    this.#reportTimer = setInterval(() => this.#report(), REPORT_INTERVAL_MS);

    // By then there is a document, or none is to be had for now: rather say so to clients than refuse their connections.
    await disk;
    await this.#waitForFeed();
    this.#isUnconfigured = this.#publisher.offeredRevision === undefined;
    if (this.#isUnconfigured) this.#log.warn('there is no configuration yet: no database, and no copy on disk');
    this.#openListeners();
  }

  async #openStatus(): Promise<void> {
    this.#status = await startStatus({
      ...this.#settings.statusListen,
      readReadiness: () => this.#observer.readReadiness(this.#isDraining),
      writeMetrics: () => this.#observer.writeMetrics(),
    }).catch((error: unknown) => {
      throw toFailure('status', error);
    });
  }

  async #serveFromDiskUnlessFed(credentials: Promise<void>): Promise<void> {
    await this.#waitForFeed();
    if (this.#publisher.offeredRevision !== undefined) return;
    const [copy] = await Promise.all([this.#parts.lastGood.load(), credentials]);
    if (copy === undefined || this.#publisher.offeredRevision !== undefined) return;
    const { revision } = copy.update;
    this.#log.warn('the database is out of reach: the last good copy on disk serves', { revision });
    this.#observer.takeCopy(this.#clock.wallMs() - copy.savedAtMs);
    this.#offer(copy.update, 'disk');
  }

  /** Resolves when a first update came, the database does not answer, or the patience is over. */
  async #waitForFeed(): Promise<void> {
    await Promise.race([this.#firstNews.promise, delay(DISK_PATIENCE_MS, undefined, { ref: false })]);
  }

  #offer(update: Update, source: 'live' | 'disk'): void {
    this.#offeredSource = source;
    this.#firstNews.resolve();
    this.#publisher.offer(update);
  }

  #takeContact(isInContact: boolean): void {
    this.#observer.takeContact(isInContact);
    if (!isInContact) this.#firstNews.resolve();
  }

  #hear(member: Member, message: ToKeeper): void {
    switch (message.channel) {
      case 'booted':
        member.send({ channel: 'start', settings: this.#settings });
        break;
      case 'started':
        member.state = 'waiting';
        member.send({ channel: 'tickets', secret: this.#tickets.current });
        this.#publisher.join(member);
        // The first revision is compiled by all workers at once, not by the quickest alone.
        if (![...this.#fleet.members].some(({ state }) => state === 'booting')) this.#publisher.open();
        break;
      case 'listening':
        this.#takeListening(member, message);
        break;
      case 'failed':
        this.#takeFailure(member, message);
        break;
      case 'ailing':
        this.#fleet.relieve(member);
        break;
      case 'cut':
        this.#cuts.take(member, message.report);
        break;
      case 'committed':
      case 'report':
      case 'metrics':
        this.#observer.hear(member, message);
        if (message.channel === 'committed') this.#parts.noteLoads(message);
        break;
      default:
        if ('body' in message) this.#parts.hear(member.worker.id, message);
    }
  }

  #takeListening(member: Member, message: Extract<ToKeeper, { readonly channel: 'listening' }>): void {
    this.#ports.take(message);
    if (member.state === 'opening') member.state = 'serving';
    this.#fleet.markServing(member);
    this.#log.debug('a worker serves', { slot: member.slot, workerPid: member.pid });
    this.#report();
    this.#serving.resolve({
      ...this.#ports.listUrls(message),
      status: toUrl(this.#status?.host ?? '', this.#status?.port ?? 0),
    });
  }

  #takeFailure(member: Member, { step, code, message }: Extract<ToKeeper, { readonly channel: 'failed' }>): void {
    if (!this.#ports.isBound) this.#failure.reject(new KeeperFailure(step, code, message));
    else member.replace(`it cannot ${step === 'start' ? 'start' : 'listen'}: ${message}`);
  }

  #bury(member: Member): void {
    this.#publisher.leave(member);
    this.#publisher.open();
    this.#observer.forget(member);
    this.#parts.workerGone(member.worker.id);
    if (this.#fleet.members.size === 0) this.#ports.keep();
    if (!this.#isDraining) this.#report();
  }

  #openListeners(): void {
    if (this.#publisher.document === undefined && !this.#isUnconfigured) return;
    for (const member of this.#fleet.members) {
      if (member.state !== 'joined') continue;
      member.state = 'opening';
      member.send(this.#ports.order);
    }
  }

  #takeCommitted(document: DocumentState, update: Update, tookMs: number): void {
    const source = this.#offeredSource;
    this.#observer.source = source;
    this.#parts.keepPackages(document);
    if (source === 'live') this.#parts.saveCopy(document, update);
    this.#cuts.keep(document);
    this.#openListeners();
    this.#report();
    const facts = { revision: document.revision, source, changes: update.changes.length, tookMs: Math.round(tookMs) };
    this.#log.info('revision in force', facts);
  }

  #takeRefusal(refusal: RevisionRefusal): void {
    this.#observer.rejectedSnapshots++;
    const rest = this.#publisher.document ? 'the one in force goes on serving' : 'none is in force';
    this.#log.error(`revision refused; ${rest}`, { ...refusal });
    this.#report();
  }

  #report(): void {
    this.#controlPlane?.report(this.#observer.buildStatus());
  }
}
