// The worker processes of a node: started, watched, replaced when they die or fall silent.
// Must not know revisions or what a worker does.
import cluster from 'node:cluster';
import { fileURLToPath } from 'node:url';
import type { Update } from '../../../core/model.ts';
import type { Clock, Logger } from '../../../core/ports.ts';
import type { IsolateBan } from '../../../sandbox/isolate/ban.ts';
import type { ToKeeper, ToWorker } from '../messages.ts';
import { Member } from './member.ts';
import { createRestartPolicy } from './restart-policy.ts';

const WORKER_FILE = fileURLToPath(new URL('../worker/worker-main.js', import.meta.url));
/** Threads for what blocks, such as looking up names: Node's four would let four slow names stop all others. */
const WORKER_ENV = { UV_THREADPOOL_SIZE: '16' };

/** Is what a fleet needs and whom it tells. */
export interface FleetOptions {
  readonly size: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly isolates: IsolateBan;
  /** Opens what workers need open. */
  unseal(update: Update): Update;
  onMessage(member: Member, message: ToKeeper): void;
  onGone(member: Member): void;
}

/** Owns the worker processes. */
export interface Fleet {
  /** Counts the workers that ended unasked. */
  readonly deaths: number;
  readonly hasIsolatesOff: boolean;
  /** Are the processes that have not ended. */
  readonly members: ReadonlySet<Member>;
  start(): void;
  /** Finds a member by the id that node:cluster gave it. */
  find(workerId: number): Member | undefined;
  /** Sends a message to all. */
  tell(message: ToWorker): void;
  /** Starts another worker in a member's place; the member is told to drain when the other serves. */
  relieve(member: Member): void;
  /** Says that a member serves: one that it relieves drains now. */
  markServing(member: Member): void;
  /** Tells all to finish within `limitMs` and ends who does not; resolves when none is left. No worker is started any more. */
  drain(limitMs: number): Promise<void>;
  /** Ends all at once. */
  kill(): void;
}

const WATCH_INTERVAL_MS = 1_000;
/** A worker beats each second; after this long in silence its event loop is taken for blocked. */
const SILENCE_LIMIT_MS = 5_000;
/** Loading code on a busy machine takes longer than a beat; a worker that is still starting gets this long. */
const BOOT_LIMIT_MS = 30_000;

/** Makes a fleet; nothing runs before `start`. */
export function createFleet(options: FleetOptions): Fleet {
  const { clock, log } = options;
  const members = new Set<Member>();
  const relieving = new Map<Member, Member>();
  const policy = createRestartPolicy(clock);
  const respawns = new Set<NodeJS.Timeout>();
  let isDraining = false;
  let deaths = 0;
  let onEmpty: (() => void) | undefined;
  let watch: { close(): void } | undefined;

  // Workers accept by themselves: the keeper is not on the way of a connection.
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  cluster.setupPrimary({ exec: WORKER_FILE, args: [] });

  const sayIsolates = (): ToWorker => ({ channel: 'isolates', body: { isOff: options.isolates.isOff } });
  options.isolates.onChange(() => {
    for (const member of members) member.send(sayIsolates());
  });

  const spawn = (slot: number): Member => {
    const member = new Member({ slot, worker: cluster.fork(WORKER_ENV), log, clock, unseal: options.unseal });
    members.add(member);
    member.worker.on('message', (message: ToKeeper) => {
      member.hear(message);
      // Before it hears of any package.
      if (message.channel === 'started') member.send(sayIsolates());
      options.onMessage(member, message);
    });
    member.worker.on('error', (error) => log.warn('a worker cannot be reached', { slot, error }));
    member.worker.once('exit', (code, signal) => bury(member, { code, signal }));
    return member;
  };

  const spawnLater = (slot: number, relieved: Member | undefined): number => {
    const delayMs = policy.nextDelayMs();
    const timer = setTimeout(() => {
      respawns.delete(timer);
      const next = spawn(slot);
      if (relieved !== undefined && members.has(relieved)) relieving.set(next, relieved);
    }, delayMs);
    respawns.add(timer);
    return delayMs;
  };

  const bury = (member: Member, end: { code: number | null; signal: string | null }): void => {
    const wasDraining = member.state === 'draining';
    const relieved = relieving.get(member);
    members.delete(member);
    relieving.delete(member);
    member.leave();
    options.onGone(member);
    if (members.size === 0) onEmpty?.();
    if (isDraining) return;
    if (!wasDraining) {
      options.isolates.takeEnd({ ...end, openIsolates: member.openIsolates, wasSilent: member.isSilent });
    }
    // In its place another serves, or is on its way.
    if (wasDraining || member.isAiling) {
      log.info('a relieved worker has ended', { slot: member.slot, workerPid: member.pid, ...end });
      return;
    }
    deaths++;
    const respawnInMs = spawnLater(member.slot, relieved);
    log.error('a worker died', { slot: member.slot, workerPid: member.pid, ...end, respawnInMs });
  };

  return {
    members,
    get deaths() {
      return deaths;
    },
    get hasIsolatesOff() {
      return options.isolates.isOff;
    },
    start() {
      for (let slot = 1; slot <= options.size; slot++) spawn(slot);
      watch = startWatch(clock, () => {
        for (const member of members) checkSilence(member, clock.monotonicMs());
      });
    },
    find: (workerId) => [...members].find(({ worker }) => worker.id === workerId),
    tell(message) {
      for (const member of members) member.send(message);
    },
    relieve(member) {
      if (isDraining || member.isAiling) return;
      member.isAiling = true;
      spawnLater(member.slot, member);
    },
    markServing(member) {
      const relieved = relieving.get(member);
      relieving.delete(member);
      if (relieved !== undefined) drainMember(relieved);
    },
    drain(limitMs) {
      isDraining = true;
      for (const timer of respawns) clearTimeout(timer);
      const killer = setTimeout(() => {
        for (const member of members) member.replace('it did not finish in time');
      }, limitMs);
      return new Promise<void>((resolve) => {
        onEmpty = resolve;
        if (members.size === 0) resolve();
        for (const member of members) drainMember(member);
      }).finally(() => {
        clearTimeout(killer);
        watch?.close();
      });
    },
    kill() {
      isDraining = true;
      watch?.close();
      for (const timer of respawns) clearTimeout(timer);
      for (const member of members) member.worker.process.kill('SIGKILL');
    },
  };
}

function drainMember(member: Member): void {
  member.state = 'draining';
  member.send({ channel: 'drain' });
}

function checkSilence(member: Member, nowMs: number): void {
  const limitMs = member.state === 'booting' ? BOOT_LIMIT_MS : SILENCE_LIMIT_MS;
  const silentMs = Math.round(nowMs - member.lastHeardMs);
  if (silentMs <= limitMs) return;
  member.isSilent = member.state !== 'booting';
  member.replace(`nothing was heard of it for ${silentMs} ms: its event loop is blocked`);
}

/** Calls `check` each second, but not after a pause of the keeper itself: then it is not the workers who were silent. */
function startWatch(clock: Clock, check: () => void): { close(): void } {
  let lastMs = clock.monotonicMs();
  const timer = setInterval(() => {
    const nowMs = clock.monotonicMs();
    const wasPaused = nowMs - lastMs > 2 * WATCH_INTERVAL_MS;
    lastMs = nowMs;
    // After the poll phase, so that beats which wait in the channel count.
    if (!wasPaused) setImmediate(check);
  }, WATCH_INTERVAL_MS);
  return { close: () => clearInterval(timer) };
}
